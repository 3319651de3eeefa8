#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace waggle::front {

/// Every bound the front sets on a client. Past each of them there is an answer or a close, never silence.
struct limits {
  // Of one request. Bytes are counted as they come over the wire.
  std::size_t header_bytes_max = 16 * 1024;        // request line, fields and their line ends; past it 431
  std::size_t fields_max = 100;                    // 431
  std::size_t target_bytes_max = 8 * 1024;         // 414
  std::uint64_t body_bytes_max = 1024 * 1024;      // 413, before the body is read where its length is announced
  std::size_t chunk_extension_bytes_max = 1024;    // over all chunks of a body; 400
  std::size_t blank_lines_before_request_max = 1;  // RFC 9112 section 2.2 wants at least one ignored; 400

  // Of one connection. At either bound no more is read from it until answers have left.
  std::size_t unanswered_max = 32;            // pipelined requests given to the application
  std::size_t output_bytes_max = 256 * 1024;  // bytes of answers the client has not taken yet
  // Of one streamed answer, what may wait for the client before the next `append`; past it the connection is closed.
  std::size_t stream_bytes_max = 4 * 1024 * 1024;

  // Time. A head or body that is late gets a 408; an idle or stalled connection is closed.
  std::chrono::milliseconds head_time{10'000};        // from a request's first byte to the end of its header section
  std::chrono::milliseconds body_grace_time{10'000};  // what a body may take on top of its size divided by the rate
  std::uint64_t body_bytes_per_second_min = 1024;
  std::chrono::milliseconds idle_time{75'000};         // nothing asked, nothing owed
  std::chrono::milliseconds write_stall_time{30'000};  // an answer is waiting and the client takes no byte of it
  // A stream may be quiet for ever, but once its client has ended its own side it may also have gone: nothing tells the
  // two apart until something is written.
  std::chrono::milliseconds half_closed_time{10'000};
  std::chrono::milliseconds linger_time{2'000};        // after the last answer, for the client to close first

  std::chrono::milliseconds handshake_time{10'000};    // TLS, from the connection to the first byte that is HTTP's

  // Of one thread. Past the bytes, a client that holds more than 64 KiB of them gets a 503 if it is sending a body, and
  // is closed if it is not taking its answers.
  std::size_t buffered_bytes_max = 256 * 1024 * 1024;
  std::size_t connections_max = 10'000;  // past it a new connection gets a 503; at most 65,536
  std::size_t handshakes_max = 4'096;    // clients of TLS that have not proved yet that they can speak it; past it a new one is closed

  friend bool operator==(const limits&, const limits&) = default;
};

}  // namespace waggle::front
