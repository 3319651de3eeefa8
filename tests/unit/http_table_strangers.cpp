#include "http_table.hpp"

namespace http_table {

samples strangers() {
  const auto bytes = [](std::initializer_list<unsigned char> of) { return std::string(of.begin(), of.end()); };
  return {
      {"the HTTP/2 preface with its first frame",
       "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes({0, 0, 18, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100}), "505"},
      {"the HTTP/2 preface with HTTP/1.1", line("PRI * HTTP/1.1"), "400"},
      {"an HTTP/2 frame", bytes({0, 0, 0, 4, 0, 0, 0, 0, 0}), "..."},
      {"an HTTP/2 frame behind a request", get() + bytes({0, 0, 0, 4, 0, 0, 0, 0, 0, '\r', '\n'}), "GET / 400"},
      {"a TLS 1.3 greeting with a line feed in it",
       bytes({0x16, 3, 1, 0, 0xa5, 1, 0, 0, 0xa1, 3, 3, 0x5b, 0x90, 0x9d, '\n', 0x1a, 0xff}), "400"},
      {"a TLS greeting without a line feed, past the limit", bytes({0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}) + times(200, "\xaa"), "414"},
      {"an SSL 2 greeting", bytes({0x80, 0x2e, 1, 0, 2, 0, '\r', '\n'}), "400"},
      {"a TLS alert", bytes({0x15, 3, 1, 0, 2, 2, 40, '\n'}), "400"},
      {"a PROXY line", "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + get(), "505"},
      {"a PROXY line of an unknown", "PROXY UNKNOWN\r\n" + get(), "400"},
      {"a binary PROXY header", "\r\n\r\n" + bytes({0}) + "\r\nQUIT\n" + bytes({0x21, 0x11, 0, 12}) + get(), "400"},
      {"an SSH greeting", "SSH-2.0-OpenSSH_9.2\r\n", "400"},
      {"SMTP", "EHLO a.example\r\nMAIL FROM:<a@b>\r\n", "400"},
      {"FTP", "USER anonymous\r\nPASS a\r\n", "400"},
      {"IMAP", "a1 LOGIN u p\r\n", "505"},
      {"POP3", "CAPA\r\n", "400"},
      {"Redis", "*1\r\n$4\r\nPING\r\n", "400"},
      {"Redis in line", "PING\r\n", "400"},
      {"memcached", "get a\r\n", "400"},
      {"memcached's set", "set a 0 0 1\r\nx\r\n", "505"},
      {"NATS", "CONNECT {\"verbose\":false}\r\nPING\r\n", "400"},
      {"STOMP", "CONNECT\naccept-version:1.2\n\n" + nul, "400"},
      {"an MQTT greeting", bytes({0x10, 0x0c, 0, 4}) + "MQTT" + bytes({4, 2, 0, 60, 0, 0, '\n'}), "400"},
      {"an AMQP greeting", "AMQP" + bytes({0, 0, 9, 1, '\r', '\n'}), "400"},
      {"a ZMTP greeting", bytes({0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0}) + "NULL" + times(200, nul), "414"},
      {"a PostgreSQL greeting", bytes({0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f, '\n'}), "400"},
      {"an RDP greeting", bytes({3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, '\n'}), "400"},
      {"a DNS question over TCP", bytes({0, 29, 0x12, 0x34, 1, 0, 0, 1, '\r', '\n'}), "400"},
      {"a SOCKS 5 greeting", bytes({5, 1, 0, '\r', '\n'}), "400"},
      {"a SOCKS 4 request", bytes({4, 1, 0, 80, 127, 0, 0, 1, 0, '\n'}), "400"},
      {"a SIP request", "INVITE sip:a@b SIP/2.0\r\nVia: c\r\n\r\n", "505"},
      {"an ICY request", "SOURCE /a ICE/1.0\r\n\r\n", "505"},
      {"a Gopher selector", "/a\r\n", "400"},
      {"a finger question", "\r\n\r\n", "400"},
      {"a telnet negotiation", bytes({0xff, 0xfd, 1, 0xff, 0xfb, 3, '\r', '\n'}), "400"},
      {"XML", "<?xml version=\"1.0\"?>\r\n<a/>\r\n", "400"},
      {"JSON", "{\"jsonrpc\": \"2.0\"}\r\n", "400"},
      {"a shell's here-document", "() { :; }; echo a\r\n", "400"},
      {"UTF-16", bytes({0xff, 0xfe, 'G', 0, 'E', 0, 'T', 0, ' ', 0, '/', 0, '\r', 0, '\n', 0}), "400"},
      {"UTF-16 without a mark", bytes({'G', 0, 'E', 0, 'T', 0, ' ', 0, '/', 0, '\r', 0, '\n', 0}), "400"},
      {"line feeds", times(50, "\n"), "400"},
      {"line ends", times(50, "\r\n"), "400"},
      {"bytes of one bits", times(300, "\xff"), "414"},
      {"all bytes", [] {
         std::string out;
         for (int c = 0; c < 256; ++c) out += static_cast<char>(c);
         return out;
       }(), "400"},
  };
}

}  // namespace http_table
