#include <waggle/service.hpp>

struct say { std::string name; };
struct greeting { std::string message; };
WAGGLE_FIELDS(say, name)
WAGGLE_FIELDS(greeting, message)

int main(int argc, char** argv) {
  waggle::service hello{"hello", "1.0.0"};

  hello.on("hello.say", [](const say& in) { return greeting{"hello " + in.name}; })
      .doc("Greets somebody by name.")
      .http("GET /hello")
      .safe()
      .quick();

  return hello.run(argc, argv);
}
