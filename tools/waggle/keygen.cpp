#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include <fmt/format.h>

#include <waggle/keys.hpp>
#include <waggle/wire/utf8.hpp>

#include "tools/waggle/session.hpp"

namespace waggle::cli {
namespace {

struct keygen_flags {
  std::string name;
  std::string folder = ".";
};

/// A file that was not there before; an error says why there is none.
result<void> write_new(const std::filesystem::path& path, std::string_view text, unsigned mode) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (file < 0 && errno == EEXIST) {
    return failure(status::already_exists, path.string() + " is there already, and is not overwritten; choose another name, or move it away");
  }
  const bool written = file >= 0 && ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int why = errno;
  if (file >= 0 && ::close(file) == 0 && written) return {};
  if (file >= 0) ::unlink(path.c_str());
  return failure(status::internal, path.string() + " cannot be written: " + std::strerror(why));
}

int keygen(const session& with, const keygen_flags& flags) {
  if (!wire::is_name(flags.name) || flags.name.find('/') != std::string::npos || flags.name.starts_with('.')) {
    return with.misuse("a key's name is 1 to 128 bytes without spaces and /, and does not begin with a dot");
  }
  const auto pair = net::make_key_pair();
  const auto stem = std::filesystem::path{flags.folder} / flags.name;
  const auto both = stem.string() + ".key", only_public = stem.string() + ".pub";
  const auto fail = [&](const error& why) { return why.code == status::internal ? (with.note(why.message), 1) : with.fail(why); };
  if (const auto written = write_new(both, key_file_text(pair, true), 0600); !written) return fail(written.error());
  if (const auto written = write_new(only_public, key_file_text(pair, false), 0644); !written) {
    ::unlink(both.c_str());
    return fail(written.error());
  }
  if (with.output_or(form::table) != form::table) {
    std::string bytes;
    append_payload(bytes, std::map<std::string, std::string>{
                              {"name", flags.name}, {"public_key", pair.public_key}, {"key_file", both}, {"public_file", only_public}});
    with.print_value(bytes, form::json);
    return 0;
  }
  with.print(fmt::format("{} has both keys: keep it secret. {} has the public one: {}\n\n"
                         "For a peer, add to the broker's --peers file:   - {{ name: {}, role: ROLE, key: \"{}\" }}\n"
                         "For the broker, start it with:                  --key-file {}\n",
                         both, only_public, pair.public_key, flags.name, pair.public_key, both));
  return 0;
}

}  // namespace

command make_keygen(CLI::App& app, session& with) {
  const auto given = std::make_shared<keygen_flags>();
  auto* flags = app.add_subcommand("keygen", "Make a key pair for a broker or a peer");
  flags->add_option("NAME", given->name, "Whose it is; the files are NAME.key and NAME.pub")->type_name("")->required();
  flags->add_option("--out", given->folder, "The folder to write them to")->type_name("DIR")->capture_default_str();
  flags->footer(
      "Files that are there are never overwritten (exit code 16). The formats are those of\n"
      "CZMQ's certificates, so pyzmq's zmq.auth.load_certificate reads them.\n\n"
      "Examples:\n"
      "  waggle keygen broker --out /etc/waggle\n"
      "  waggle keygen shop-1 --json");
  return {flags, [&with, given] { return keygen(with, *given); }};
}

}  // namespace waggle::cli
