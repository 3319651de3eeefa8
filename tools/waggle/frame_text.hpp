#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <waggle/wire/error.hpp>
#include <waggle/wire/frames.hpp>

namespace waggle::cli {

/// A command frame from its JSON form, a JSON array, as msgpack. The one difference between the two forms is the
/// payload: msgpack has a bin that holds one value, JSON the value itself. So where the first element is the number of
/// a frame type, or its name as in "CALL", the element in the place of that type's payload is packed into a bin, unless
/// it is null. All else is converted as it stands, and need not be a frame at all.
[[nodiscard]] result<std::string> frame_from_json(std::string_view json);

/// One thing that came in a message, in words.
struct shown_frame {
  std::string label;       ///< type, id and status, as in "REPLY 7 OK", or an event's origin; empty if it is no frame
  std::string json;        ///< the frame's JSON form; empty if it is not msgpack
  std::string problem;     ///< why it is no frame, or of an unknown type
  std::string_view bytes;  ///< in the message's bundle; what is not msgpack reaches to its end
  bool is_reply = false;
};

/// Takes a message apart. Total over any bytes.
[[nodiscard]] std::vector<shown_frame> show_frames(const wire::message_view& message);

/// How many REPLYs a message asks for: one for each CALL, EMIT with an id, HELLO, JOIN and LEAVE.
[[nodiscard]] std::size_t replies_wanted(std::string_view message);

}  // namespace waggle::cli
