#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <waggle/keys.hpp>
#include <waggle/net/socket.hpp>

namespace waggle::detail {

struct hybrid_options {
  std::string service{};            ///< its name
  std::string version{};            ///< of the service, for its OpenAPI document
  std::string http{};               ///< where to answer HTTP: HOST:PORT; port 0 is any, an empty host every interface
  std::string broker{};             ///< the network's command endpoint; empty: a broker inside this process
  std::string listen{};             ///< where that broker lets others in, tcp:// or ipc://; empty: nowhere
  bool listen_in_the_open = false;  ///< also where others than this machine's programs reach it
  std::vector<std::string> routes{};  ///< files of routes, and directories of them
  key_options keys = key_options::none();  ///< for a broker elsewhere
  /// Called once, on a thread of the HTTP front, when each of those threads knows the service's routes.
  std::function<void()> on_routes{};
};

/// What stands around a service that answers HTTP itself: the gateway's application and front, and a broker unless there is one
/// elsewhere. With a broker elsewhere it serves the routes of its own service only, and those of files.
///
/// This is all that the SDK knows of it: the library behind waggle::hybrid makes it, so that services without it need no HTTP.
class hybrid {
 public:
  virtual ~hybrid() = default;
  hybrid(const hybrid&) = delete;
  hybrid& operator=(const hybrid&) = delete;

  /// The context that the service has to share, since an inproc:// endpoint ends where its context does.
  [[nodiscard]] virtual net::context& sockets() = 0;
  /// Where the service connects.
  [[nodiscard]] virtual const std::string& broker() const = 0;
  /// Where the broker inside lets others in, with the port that the system has chosen; empty if nowhere.
  [[nodiscard]] virtual const std::string& listen() const = 0;
  /// The HTTP address in use, numeric, as HOST:PORT.
  [[nodiscard]] virtual const std::string& http() const = 0;
  /// Takes no more connections; returns when the open requests have their answers, or after `patience`. The service must go on
  /// until then, for it is what answers them. From any thread.
  virtual void drain(std::chrono::milliseconds patience) = 0;

 protected:
  hybrid() = default;
};

/// Listens and serves. Throws std::invalid_argument for what is no address, std::runtime_error with the remedy for an address that
/// cannot be had and for routes with mistakes in them. The service's sockets must be gone before what is returned is.
[[nodiscard]] std::unique_ptr<hybrid> start_hybrid(hybrid_options with);

}  // namespace waggle::detail
