#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/wire/limits.hpp>

/// One ZeroMQ message on a command socket: a bundle of command frames, and the attachments that its frames speak of.
namespace waggle::wire {

/// The bytes of a large payload. They are shared, not copied, live as long as the last that shares them, and never change.
class attachment {
 public:
  attachment() = default;
  /// Takes the bytes over.
  explicit attachment(std::string bytes) : attachment{std::make_shared<const std::string>(std::move(bytes))} {}
  /// Bytes of somebody who keeps them as long as `owner` lives.
  attachment(std::shared_ptr<const void> owner, std::string_view bytes) : owner_{std::move(owner)}, bytes_{bytes} {}

  [[nodiscard]] std::string_view bytes() const { return bytes_; }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }

 private:
  explicit attachment(std::shared_ptr<const std::string> of) : bytes_{*of} { owner_ = std::move(of); }

  std::shared_ptr<const void> owner_;
  std::string_view bytes_;
};

/// A message that is being made, or that is kept.
struct message {
  std::string bundle;
  std::vector<attachment> attachments;

  [[nodiscard]] bool empty() const { return bundle.empty(); }
  [[nodiscard]] std::size_t bytes() const {
    auto sum = bundle.size();
    for (const auto& each : attachments) sum += each.bytes().size();
    return sum;
  }
  void clear() {
    bundle.clear();
    attachments.clear();
  }
};

/// A message of somebody else. Every bundle is one, without attachments.
struct message_view {
  std::string_view bundle;
  std::span<const attachment> attachments;

  message_view() = default;
  message_view(std::string_view bundle_alone) : bundle{bundle_alone} {}           // NOLINT(google-explicit-constructor)
  message_view(const std::string& bundle_alone) : bundle{bundle_alone} {}         // NOLINT(google-explicit-constructor)
  message_view(const char* bundle_alone) : bundle{bundle_alone} {}                // NOLINT(google-explicit-constructor)
  message_view(const message& whole) : bundle{whole.bundle}, attachments{whole.attachments} {}  // NOLINT(google-explicit-constructor)
  message_view(std::string_view of_frames, std::span<const attachment> of_payloads) : bundle{of_frames}, attachments{of_payloads} {}
};

/// What a frame says of its payload: its bytes, or the number of the attachment that they are.
class payload_field {
 public:
  payload_field() = default;
  payload_field(std::string_view bytes) : bytes_{bytes} {}    // NOLINT(google-explicit-constructor)
  payload_field(const std::string& bytes) : bytes_{bytes} {}  // NOLINT(google-explicit-constructor)
  payload_field(const char* bytes) : bytes_{bytes} {}         // NOLINT(google-explicit-constructor)

  /// Adds the attachment to the message whose bundle the frame goes to.
  static payload_field attached(message& to, attachment payload) {
    to.attachments.push_back(std::move(payload));
    payload_field out;
    out.number_ = static_cast<std::int32_t>(to.attachments.size() - 1);
    return out;
  }

  [[nodiscard]] bool is_attached() const { return number_ >= 0; }
  [[nodiscard]] std::uint32_t number() const { return static_cast<std::uint32_t>(number_); }
  [[nodiscard]] std::string_view bytes() const { return bytes_; }

 private:
  std::string_view bytes_;
  std::int32_t number_ = -1;
};

}  // namespace waggle::wire
