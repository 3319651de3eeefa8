// The same of limits and tokens, and of what is bounded.
#include "support/config_fixture.hpp"

using namespace std::literals;
using namespace waggle::gateway;
using namespace waggle::gateway::test;

TEST_CASE("config: limits are bytes, times and numbers within bounds", "[routes]") {
  check({
      {R"(limits: {body_bytes: 4MiB, header_bytes: 16KiB, fields: 50, target_bytes: 1000, connections: 65536, head_time: 5s, idle_time: 24h}
)",
       R"(accepted)"},
      {R"(limits: {body_bytes: 4MB}
)",
       R"(r.yaml:1: "4MB" is no body_bytes; write bytes from 0 to 64MiB, as in 500, 16KiB or 1MiB)"},
      {R"(limits: {body_bytes: -1}
)",
       R"(r.yaml:1: "-1" is no body_bytes; write bytes from 0 to 64MiB, as in 500, 16KiB or 1MiB)"},
      {R"(limits: {body_bytes: 1TiB}
)",
       R"(r.yaml:1: "1TiB" is no body_bytes; write bytes from 0 to 64MiB, as in 500, 16KiB or 1MiB)"},
      {R"(limits: {body_byte: 1MiB}
)",
       R"(r.yaml:1: the key "body_byte" is not known; did you mean "body_bytes"?)"},
      {R"(limits: {head_time: 5}
)",
       R"(r.yaml:1: "5" is no head_time; write a time from 100ms to 10m, as in 250ms, 10s or 5m)"},
      {R"(limits: {head_time: 1h}
)",
       R"(r.yaml:1: "1h" is no head_time; write a time from 100ms to 10m, as in 250ms, 10s or 5m)"},
      {R"(limits: {connections: 65537}
)",
       R"(r.yaml:1: "65537" is no connections; write a number from 1 to 65536)"},
      {R"(limits: {fields: 1KiB}
)",
       R"(r.yaml:1: "1KiB" is no fields; write a number from 4 to 10000)"},
      {R"(limits: x
)",
       R"(r.yaml:1: limits is no map; write limits, as in limits: {body_bytes: 1MiB, idle_time: 75s})"},
      {R"(limits: {target_bytes: 32KiB}
)",
       R"(r.yaml:1: target_bytes (32KiB) is more than header_bytes (16KiB), of which it is a part; write less, or more for header_bytes)"},
      {R"(limits: {target_bytes: 32KiB, header_bytes: 64KiB}
)",
       R"(accepted)"},
      {R"(limits: {body_bytes: [1]}
)",
       R"(r.yaml:1: "" is no body_bytes; write bytes from 0 to 64MiB, as in 500, 16KiB or 1MiB)"},
      {R"(limits: {body_bytes: 99999999999999999999}
)",
       R"(r.yaml:1: "99999999999999999999" is no body_bytes; write bytes from 0 to 64MiB, as in 500, 16KiB or 1MiB)"},
  });
}

TEST_CASE("config: tokens have an algorithm and a key that is elsewhere", "[routes]") {
  check({
      {R"(tokens: {algorithm: HS256, key: env.SECRET, issuer: https://x, audience: shop}
)",
       R"(accepted)"},
      {R"(tokens: {algorithm: HS256, key: env.SHORT}
)",
       R"(r.yaml:1: the secret of HS256 is shorter than 32 bytes; make a longer one, as with openssl rand -hex 32)"},
      {R"(tokens: {algorithm: HS512, key: env.SECRET}
)",
       R"(r.yaml:1: "HS512" is no algorithm; write HS256, RS256, ES256 or EdDSA)"},
      {R"(tokens: {algorithm: HS256, key: env.NONE}
)",
       R"(r.yaml:1: the variable NONE is not set; set it to the key)"},
      {R"(tokens: {algorithm: HS256, key: geheim}
)",
       R"(r.yaml:1: the key is neither of the environment nor of a file; write env.NAME or file.PATH, and the key itself there)"},
      {R"(tokens: {algorithm: ES256, key: env.SECRET}
)",
       R"(r.yaml:1: the key is no PEM; write the public key that begins with -----BEGIN PUBLIC KEY-----)"},
      {R"(tokens: {algorithm: ES256, key: file.none.pem}
)",
       R"(r.yaml:1: the file "none.pem" cannot be read; write the path of one that can)"},
      {R"(tokens: {}
)",
       R"(r.yaml:1: tokens have no algorithm; write tokens: {algorithm: HS256, key: env.WAGGLE_JWT_KEY}
r.yaml:1: tokens have no key; write tokens: {algorithm: HS256, key: env.WAGGLE_JWT_KEY})"},
      {R"(tokens: []
)",
       R"(r.yaml:1: tokens is no map; write tokens: {algorithm: HS256, key: env.WAGGLE_JWT_KEY}, or a list of up to 16 of them)"},
      {R"(tokens: {algorithm: HS256, key: env.SECRET, isuer: x}
)",
       R"(r.yaml:1: the key "isuer" is not known; did you mean "issuer"?)"},
      {R"(tokens: {algorithm: HS256, key: env.SECRET}
routes:
  - route: GET /a/{id}
    call: x.y
    fields: {u: claim.sub, r: claim.realm.roles}
)",
       R"(accepted)"},
  });
}

TEST_CASE("config: the named limits hold, and what is within them is accepted", "[routes]") {
  const auto fields = [](int count) {
    std::string out = post + "    fields:\n";
    for (int i = 0; i < count; ++i) out += "      f" + std::to_string(i) + ": query.f\n";
    return out;
  };
  const auto steps = [](int count, const char* key) {
    std::string out = "routes:\n  - route: POST /a\n"s + (key == "then"s ? "    call: x\n" : "    reply: body\n") + "    " + key + ":\n";
    for (int i = 0; i < count; ++i) out += "      s" + std::to_string(i) + ": {call: x}\n";
    return out;
  };
  check({
      {fields(256), "accepted"},
      {fields(257), "r.yaml:261: there are more than 256 fields; write fields: body"},
      {fields(300), "r.yaml:261: there are more than 256 fields; write fields: body"},
      {post + "    fields: {a: {list: [" + repeated("query.f, ", 255) + "]}}", "accepted"},
      {post + "    fields: {a: {list: [" + repeated("query.f, ", 256) + "]}}",
       "r.yaml:4: there are more than 256 fields; write fields: body"},
      {steps(32, "steps"), "accepted"},
      {steps(33, "steps"), "r.yaml:5: there are more than 32 steps; write fewer, or a command that does several"},
      {steps(32, "then"), "accepted"},
      {steps(33, "then"), "r.yaml:5: there are more than 32 steps; write fewer, or a command that does several"},
      {get + "    when: {query.a: [" + repeated("x, ", 65) + "]}", "r.yaml:4: there are more than 64 texts; write fewer"},
      {post + "    fields: {a: {jq: '" + std::string(16383, ' ') + ".'}}", "accepted"},
      {post + "    fields: {a: {jq: '" + std::string(16384, ' ') + ".'}}",
       "r.yaml:4: the jq program is larger than 16 KiB; write a smaller one, or a command"},
  });
  std::string variants = "routes:\n";
  for (int i = 0; i < 65; ++i) variants += "  - {route: GET /a, call: x, when: {query.b: v" + std::to_string(i) + "}}\n";
  CHECK(errors_of(variants) ==
        "r.yaml:66: GET /a has more than 64 routes; write fewer conditions, or call: {by: ..., is: {...}}");
}

TEST_CASE("config: aliases may repeat a little, and neither a bomb nor a ring of them is walked", "[routes]") {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'z'; ++c) {
    const std::string before = "*"s + static_cast<char>(c - 1);
    bomb += std::string{c} + ": &" + c + " [" + repeated(before + ",", 9) + before + "]\n";
  }
  check({
      {post + "    fields: &f {a: query.x}\n  - {route: PUT /b, call: z, fields: *f}\n", "accepted"},
      {bomb, "r.yaml:1: the aliases repeat too much; write it out, or in several files"},
      {"routes: &a [*a]\n", "r.yaml:1: this is nested too deep; write it flatter"},
      {"routes: " + std::string(400, '[') + std::string(400, ']'), "r.yaml:1: this is nested too deep; write it flatter"},
  });
  CHECK(errors_of("routes: " + std::string(100'000, '[')).find("this is not YAML") != std::string::npos);
}

TEST_CASE("config: a variable's value is read once, and a constant where it is not set and has a default", "[routes]") {
  const config_file file{"r.yaml", post + "    fields: {a: env.REGION, b: {from: env.NONE, default: 7}, c: {from: env.REGION, default: 7}}\n"};
  const auto out = parse_config({&file, 1}, environment).value();
  const auto& payload = std::get<value_config>(out.routes.at(0).steps.at(0).payload);
  const auto& entries = std::get<value_config::object>(payload.is).entries;
  CHECK(std::get<value_config::taken>(entries.at(0).value.is).from.text == "eu");
  CHECK(std::get<value_config::constant>(entries.at(1).value.is).msgpack == "\x07");
  CHECK(std::get<value_config::taken>(entries.at(2).value.is).from.text == "eu");
}

TEST_CASE("config: limits and tokens stand in one place of all files", "[routes]") {
  const std::vector<config_file> files{{"a.yaml", "limits: {fields: 50}\ntokens: {algorithm: HS256, key: env.SECRET}\n"},
                                       {"b.yaml", "limits: {fields: 60}\ntokens: {algorithm: HS256, key: env.SECRET}\n"},
                                       {"c.yaml", get + "    fields: {who: claim.sub}\n"}};
  CHECK(parse_config(files, environment).error() ==
        std::vector<std::string>{"b.yaml:1: the key \"limits\" stands at a.yaml:1 already; write it in one place",
                                 "b.yaml:2: the key \"tokens\" stands at a.yaml:2 already; write it in one place"});
  CHECK(parse_config(std::vector{files[0], files[2]}, environment).value().limits.fields_max == 50);
  CHECK(parse_config(std::vector{files[2]}, environment).error().at(0).find("c.yaml:4: claim.sub is of a token") == 0);
}

TEST_CASE("config: the access log has a sample and a time", "[routes]") {
  check({
      {R"(access_log: {sample: 10%, slow: 500ms}
)",
       R"(accepted)"},
      {R"(access_log: {sample: 0%}
)",
       R"(accepted)"},
      {R"(access_log: {sample: 101%}
)",
       R"(r.yaml:1: "101%" is no sample; write a share from 0% to 100%)"},
      {R"(access_log: {sample: 0.5}
)",
       R"(r.yaml:1: "0.5" is no sample; write a share from 0% to 100%)"},
      {R"(access_log: {slow: 5}
)",
       R"(r.yaml:1: "5" is no time; write one, as in 250ms, 1s or 5m)"},
      {R"(access_log: {to: stdout}
)",
       R"(r.yaml:1: the key "to" is not known; access_log has sample and slow)"},
      {R"(access_log: stdout
)",
       R"(r.yaml:1: access_log is no map; write access_log: {sample: 10%, slow: 1s})"},
  });
}
