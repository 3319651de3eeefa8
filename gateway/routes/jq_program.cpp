#include "gateway/routes/jq_program.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>
#include <utility>

extern "C" {
#include <jq.h>
#include <jv.h>
}

#include <waggle/detail/instant.hpp>
#include <waggle/detail/text.hpp>
#include <waggle/wire/json.hpp>
#include <waggle/wire/limits.hpp>
#include <waggle/wire/reader.hpp>
#include <waggle/wire/utf8.hpp>
#include <waggle/wire/writer.hpp>

namespace waggle::gateway {
namespace {

constexpr double exact_max = 9'007'199'254'740'992.0;  // 2^53
constexpr std::size_t reason_bytes_max = 1024;

/// One reference to a value of jq's.
class held {
 public:
  explicit held(jv is) : is_{is} {}
  held(const held&) = delete;
  held& operator=(const held&) = delete;
  ~held() { jv_free(is_); }
  [[nodiscard]] jv get() const { return is_; }              // still ours
  [[nodiscard]] jv copy() const { return jv_copy(is_); }    // for a function that consumes it
  [[nodiscard]] jv release() { return std::exchange(is_, jv_null()); }
  void set(jv is) { is_ = is; }                             // after `release`

 private:
  jv is_;
};

std::string one_line(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  while (!text.empty() && text.back() == ' ') text.pop_back();
  if (text.size() > reason_bytes_max) {
    std::size_t end = reason_bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text.resize(end);
    text += "...";
  }
  return text;
}

/// Consumes `from`.
std::string text_of(jv from) {
  const held is{jv_get_kind(from) == JV_KIND_STRING ? from : jv_dump_string(from, 0)};
  return {jv_string_value(is.get()), static_cast<std::size_t>(jv_string_length_bytes(is.copy()))};
}

/// jq's functions that reach out of one value: to the process, its environment, files and streams. Found by reading the
/// program's names, because libjq has no way to leave them out.
constexpr std::array<std::string_view, 18> refused_names{
    "$ENV",  "env",        "input",  "inputs",        "import",     "include",         "modulemeta",     "debug",       "stderr",
    "halt",  "halt_error", "input_filename", "input_line_number", "get_search_list", "get_prog_origin", "get_jq_origin",
    "input_content", "$__prog_args"};

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// The first such name that the program uses; empty if there is none. A field (`.env`) and a key (`{env: 1}`) are none.
std::string_view refused_name(std::string_view text) {
  std::vector<int> open;     // parentheses inside each interpolation that is open
  char before = '\0';        // the last byte of code that is no space
  bool in_string = false;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\' && i + 1 < text.size() && text[i + 1] == '(') {
        open.push_back(0);
        in_string = false;
        before = '(';
        i += 2;
      } else if (c == '\\') {
        i += 2;
      } else {
        if (c == '"') in_string = false, before = '"';
        ++i;
      }
      continue;
    }
    if (c == '"') {
      in_string = true;
      ++i;
    } else if (c == '#') {
      while (i < text.size() && text[i] != '\n') ++i;
    } else if (is_name_byte(c) || (c == '$' && i + 1 < text.size())) {
      std::size_t end = i + 1;
      // `$ ENV` is `$ENV`.
      if (c == '$') {
        while (end < text.size() && (text[end] == ' ' || (text[end] >= '\t' && text[end] <= '\r'))) ++end;
      }
      const auto name_from = c == '$' ? end : i;
      while (end < text.size() && is_name_byte(text[end])) ++end;
      const std::string name = (c == '$' ? "$" : "") + std::string{text.substr(name_from, end - name_from)};
      std::size_t after = end;
      while (after < text.size() && (text[after] == ' ' || (text[after] >= '\t' && text[after] <= '\r'))) ++after;
      const bool key = (before == '{' || before == ',') && after < text.size() && text[after] == ':' &&
                       text.substr(after, 2) != "::" && c != '$';
      if (before != '.' && !key) {
        const auto* found = std::find(refused_names.begin(), refused_names.end(), name);
        if (found != refused_names.end()) return *found;
      }
      before = 'a';
      i = end;
    } else {
      if (!open.empty() && c == '(') ++open.back();
      if (!open.empty() && c == ')' && open.back()-- == 0) {
        open.pop_back();
        in_string = true;
      } else if (c != ' ' && !(c >= '\t' && c <= '\r')) {
        // `..env` does not parse; `. env` is a field to jq 1.7 and nothing to 1.6.
        before = c;
      }
      ++i;
    }
  }
  return {};
}

/// Why a value is not for jq.
enum class unfit { no, malformed, too_large };

jv from_msgpack(wire::reader& in, unfit& why, std::uint32_t depth_left);

jv string_of(std::string_view text) { return jv_string_sized(text.data(), static_cast<int>(text.size())); }

jv integer_of(double is, bool exact, unfit& why) {
  if (!exact) why = unfit::too_large;
  return jv_number(is);
}

jv from_container(wire::reader& in, unfit& why, std::uint32_t depth_left) {
  std::uint32_t count = 0;
  if (depth_left == 0) {
    why = unfit::malformed;
    return jv_null();
  }
  if (in.peek() == wire::kind::array) {
    held out{jv_array()};
    if (!in.array(count)) why = unfit::malformed;
    for (std::uint32_t i = 0; i < count && why == unfit::no; ++i) {
      jv each = from_msgpack(in, why, depth_left - 1);
      out.set(jv_array_append(out.release(), each));
    }
    return out.release();
  }
  held out{jv_object()};
  if (!in.map(count)) why = unfit::malformed;
  for (std::uint32_t i = 0; i < count && why == unfit::no; ++i) {
    std::string_view key;
    std::string other;
    if (in.peek() == wire::kind::string) {
      if (!in.string(key)) why = unfit::malformed;
    } else if (in.raw(key)) {
      key = other = wire::msgpack_to_json(key);
    } else {
      why = unfit::malformed;
    }
    if (why != unfit::no) break;
    jv name = string_of(key);
    jv value = from_msgpack(in, why, depth_left - 1);
    out.set(jv_object_set(out.release(), name, value));
  }
  return out.release();
}

/// The value with one reference, whatever `why` becomes.
jv from_msgpack(wire::reader& in, unfit& why, std::uint32_t depth_left) {
  std::string_view bytes;
  switch (in.peek()) {
    case wire::kind::nil:
      if (in.nil()) return jv_null();
      break;
    case wire::kind::boolean: {
      bool truth = false;
      if (in.boolean(truth)) return jv_bool(truth ? 1 : 0);
      break;
    }
    case wire::kind::unsigned_integer: {
      std::uint64_t is = 0;
      if (in.unsigned_integer(is)) return integer_of(static_cast<double>(is), is <= std::uint64_t{1} << 53, why);
      break;
    }
    case wire::kind::integer: {
      std::int64_t is = 0;
      wire::reader ahead = in;
      if (!ahead.integer(is)) break;
      in = ahead;
      const auto most = std::int64_t{1} << 53;
      return integer_of(static_cast<double>(is), is >= -most && is <= most, why);
    }
    case wire::kind::floating: {
      double is = 0;
      if (in.floating(is)) return std::isfinite(is) ? jv_number(is) : jv_null();
      break;
    }
    case wire::kind::string:
      if (in.string(bytes)) return string_of(bytes);
      break;
    case wire::kind::binary:
      if (in.binary(bytes)) return string_of(waggle::detail::base64_encode(bytes));
      break;
    case wire::kind::extension: {
      if (!in.raw(bytes)) break;
      const auto json = wire::msgpack_to_json(bytes);
      return jv_parse_sized(json.data(), static_cast<int>(json.size()));
    }
    case wire::kind::array:
    case wire::kind::map: return from_container(in, why, depth_left);
    case wire::kind::none: break;
  }
  why = unfit::malformed;
  return jv_null();
}

/// Does not consume `from`. False if it is deeper or larger than a payload may be.
bool append_msgpack(std::string& out, jv from, std::uint32_t depth_left) {
  wire::writer to{out};
  if (out.size() > wire::payload_bytes_max) return false;
  switch (jv_get_kind(from)) {
    case JV_KIND_INVALID:
    case JV_KIND_NULL: to.nil(); return true;
    case JV_KIND_FALSE: to.boolean(false); return true;
    case JV_KIND_TRUE: to.boolean(true); return true;
    case JV_KIND_NUMBER: {
      const double is = jv_number_value(from);
      if (!std::isfinite(is)) {
        to.nil();
      } else if (std::trunc(is) == is && std::fabs(is) <= exact_max) {
        to.integer(static_cast<std::int64_t>(is));
      } else {
        to.floating(is);
      }
      return true;
    }
    case JV_KIND_STRING: {
      const auto size = static_cast<std::size_t>(jv_string_length_bytes(jv_copy(from)));
      if (size > wire::payload_bytes_max) return false;
      to.string({jv_string_value(from), size});
      return true;
    }
    case JV_KIND_ARRAY: {
      const int count = jv_array_length(jv_copy(from));
      if (depth_left == 0 || static_cast<std::size_t>(count) > wire::payload_bytes_max) return false;
      to.array(static_cast<std::size_t>(count));
      for (int i = 0; i < count; ++i) {
        const held each{jv_array_get(jv_copy(from), i)};
        if (!append_msgpack(out, each.get(), depth_left - 1)) return false;
      }
      return true;
    }
    case JV_KIND_OBJECT: {
      const int count = jv_object_length(jv_copy(from));
      if (depth_left == 0 || static_cast<std::size_t>(count) > wire::payload_bytes_max) return false;
      to.map(static_cast<std::size_t>(count));
      for (int at = jv_object_iter(from); jv_object_iter_valid(from, at) != 0; at = jv_object_iter_next(from, at)) {
        const held key{jv_object_iter_key(from, at)}, value{jv_object_iter_value(from, at)};
        if (!append_msgpack(out, key.get(), 1) || !append_msgpack(out, value.get(), depth_left - 1)) return false;
      }
      return true;
    }
  }
  return false;
}

tl::unexpected<jq_failure> jq_failed(status code, std::string shown, std::string reason) {
  return tl::unexpected{jq_failure{error{code, std::move(shown)}, one_line(std::move(reason))}};
}

}  // namespace

struct jq_program::state {
  jq_state* jq = jq_init();
  state() = default;
  state(const state&) = delete;
  state& operator=(const state&) = delete;
  ~state() {
    if (jq != nullptr) jq_teardown(&jq);
  }
};

jq_program::jq_program(std::unique_ptr<state> of) : state_{std::move(of)} {}
jq_program::jq_program(jq_program&&) noexcept = default;
jq_program& jq_program::operator=(jq_program&&) noexcept = default;
jq_program::~jq_program() = default;

tl::expected<jq_program, std::string> jq_program::compile(const std::string& text) {
  if (text.size() > jq_program_bytes_max) return tl::unexpected{std::string{"the program is longer than 64 KiB"}};
  if (text.find('\0') != std::string::npos) return tl::unexpected{std::string{"the program has a zero byte"}};
  // Where a comment ends at these differs between versions of jq, and the names are found by reading past comments.
  if (text.find('\r') != std::string::npos || text.find("\\\n") != std::string::npos) {
    return tl::unexpected{std::string{"the program has a carriage return, or a line that ends in a backslash; take it out"}};
  }
  if (!wire::is_utf8(text)) return tl::unexpected{std::string{"the program is not UTF-8"}};
  if (const auto name = refused_name(text); !name.empty()) {
    return tl::unexpected{"`" + std::string{name} + "` is not for programs of a route, which have their input and nothing else" +
                          (name.front() == '$' ? "" : "; a field of that name is `." + std::string{name} + "`")};
  }
  auto made = std::make_unique<state>();
  if (made->jq == nullptr) return tl::unexpected{std::string{"jq cannot be started"}};
  std::string first;
  const auto keep_first = [](void* to, jv message) {
    auto& kept = *static_cast<std::string*>(to);
    std::string is = text_of(message);
    if (kept.empty()) kept = std::move(is);
  };
  jq_set_error_cb(made->jq, keep_first, &first);
  const bool compiled = jq_compile(made->jq, text.c_str()) != 0;
  // What a program says while it runs goes nowhere: by default to standard error.
  jq_set_error_cb(made->jq, [](void*, jv message) { jv_free(message); }, nullptr);
  if (!compiled) return tl::unexpected{one_line(first.empty() ? "it does not compile" : std::move(first))};
  return jq_program{std::move(made)};
}

tl::expected<std::shared_ptr<jq_program>, std::string> jq_program::shared(const std::string& text) {
  // A state of libjq belongs to one thread, so each has its own.
  thread_local std::unordered_map<std::string, std::weak_ptr<jq_program>> known;
  if (const auto at = known.find(text); at != known.end()) {
    if (auto held = at->second.lock()) return held;
  }
  auto compiled = compile(text);
  if (!compiled) return tl::unexpected{std::move(compiled.error())};
  auto made = std::make_shared<jq_program>(std::move(*compiled));
  std::erase_if(known, [](const auto& each) { return each.second.expired(); });
  known.insert_or_assign(text, made);
  return made;
}

bool jq_program::exact(std::string_view msgpack) {
  wire::reader in{msgpack};
  unfit why = unfit::no;
  const held value{from_msgpack(in, why, wire::depth_max)};
  return why != unfit::too_large;
}

tl::expected<std::optional<std::string>, jq_failure> jq_program::run(std::string_view msgpack) {
  wire::reader in{msgpack};
  unfit why = unfit::no;
  held input{from_msgpack(in, why, wire::depth_max)};
  if (why == unfit::too_large) {
    return jq_failed(status::invalid_argument,
                  "the request has an integer past 9007199254740992 (2^53), which this route cannot carry exactly; send it as a string",
                  "an integer of the input is past 2^53, and jq's numbers are doubles");
  }
  if (why != unfit::no || !in.at_end()) return jq_failed(status::internal, "the request could not be reshaped", "the input is malformed");
  jq_start(state_->jq, input.release(), 0);
  tl::expected<std::optional<std::string>, jq_failure> out{std::optional<std::string>{}};
  {
    const held first{jq_next(state_->jq)};
    if (jv_is_valid(first.get()) != 0) {
      std::string bytes;
      if (append_msgpack(bytes, first.get(), wire::depth_max) && bytes.size() <= wire::payload_bytes_max) {
        out = std::move(bytes);
      } else {
        out = jq_failed(status::internal, "the request could not be reshaped", "the program's output is larger or deeper than a payload may be");
      }
    } else if (jv_invalid_has_msg(first.copy()) != 0) {
      out = jq_failed(status::internal, "the request could not be reshaped", text_of(jv_invalid_get_msg(first.copy())));
    }
  }
  jq_start(state_->jq, jv_null(), 0);  // lets go of the values of this run
  return out;
}

}  // namespace waggle::gateway
