#include "support/catch.hpp"
#include "support/routes_fixture.hpp"

#include <waggle/wire/writer.hpp>

using namespace std::literals;
using namespace waggle::gateway;
using namespace waggle::gateway::test;
using waggle::status;

namespace {

constexpr auto every_type =
    R"({"type":"object","required":["id"],"$defs":{"colour":{"enum":["red","green"]},"loop":{"$ref":"#/$defs/loop"},
  "deep":{"type":"array","items":{"$ref":"#/$defs/deep"}}},
  "properties":{
    "id":{"type":"integer"},"n":{"type":"number"},"on":{"type":"boolean"},"s":{"type":"string"},
    "maybe":{"type":["integer","null"]},"maybe_text":{"type":["string","null"]},"maybe_too":{"anyOf":[{"type":"number"},{"type":"null"}]},
    "tags":{"type":"array","items":{"type":"string"}},"sizes":{"type":"array","items":{"type":"integer"}},
    "colour":{"$ref":"#/$defs/colour"},"either":{"oneOf":[{"const":"a"},{"const":7},{"type":"null"}]},"level":{"type":"integer","enum":[1,2]},
    "mixed":{"type":["integer","string"]},"one_or_more":{"oneOf":[{"type":"integer"},{"type":"array","items":{"type":"string"}}]},
    "all":{"allOf":[{"description":"x"},{"$ref":"#/properties/id"}]},"any":{},"yes":true,
    "loop":{"$ref":"#/$defs/loop"},"deep":{"$ref":"#/$defs/deep"},"lost":{"$ref":"#/$defs/nowhere"},"far":{"$ref":"https://example.com/x"},
    "thing":{"type":"object"}}})";

using fields = std::vector<std::pair<std::string, std::string>>;
fields headers_of(const waggle::front::response& of) { return {of.headers.begin(), of.headers.end()}; }

router serving(std::string_view routes, std::string_view schema = "null", const std::string& configuration = "") {
  router out{configuration.empty() ? config{} : configured(configuration)};
  for (const auto& warning : out.update(one_command(routes, schema))) {
    CHECK(warning.find("payloads are not checked, because the schema cannot be used") != std::string::npos);
  }
  return out;
}

}  // namespace

TEST_CASE("payload: the text of a query becomes what the schema says", "[routes]") {
  const auto table = serving(R"(["GET /do"])", every_type);
  const auto of = [&](const std::string& query) { return shown(table, {"GET", "/do?" + query, "", {}}); };
  const auto refused = [](const std::string& field, const std::string& expected) {
    return "400 the request cannot be turned into what shop.do takes [" + field + "] query parameter " + field +
           ": expected " + expected;
  };
  CHECK(of("") == "{}");
  CHECK(of("id=7") == R"({"id":7})");
  CHECK(of("id=-9223372036854775808") == R"({"id":-9223372036854775808})");
  CHECK(of("id=18446744073709551615") == R"({"id":18446744073709551615})");
  for (const auto text : {"18446744073709551616", "-9223372036854775809", "", "x", "1.5", "1e3", "0x1", "01", "%2B1",
                          "+1", "1 ", "--1", "-"}) {
    CAPTURE(text);
    CHECK(of("id="s + text) == refused("id", "an integer of at most 64 bits"));
  }
  CHECK(of("id") == refused("id", "an integer of at most 64 bits"));
  CHECK(of("n=1.5") == R"({"n":1.5})");
  CHECK(of("n=-1e-3") == R"({"n":-0.001})");
  CHECK(of("n=5") == R"({"n":5})");
  for (const auto text : {"1e999", "nan", "inf", ".5", "1.", "1e", "18446744073709551616"})
    CHECK(of("n="s + text) == refused("n", "a number"));
  CHECK(of("on=true") == R"({"on":true})");
  CHECK(of("on=1") == R"({"on":true})");
  CHECK(of("on=false") == R"({"on":false})");
  CHECK(of("on=0") == R"({"on":false})");
  for (const auto text : {"TRUE", "yes", "", "2"}) CHECK(of("on="s + text) == refused("on", "true or false"));
  CHECK(of("s=7") == R"({"s":"7"})");
  CHECK(of("s=") == R"({"s":""})");
  CHECK(of("maybe=") == R"({"maybe":null})");
  CHECK(of("maybe=3") == R"({"maybe":3})");
  CHECK(of("maybe_text=") == R"({"maybe_text":""})");
  CHECK(of("maybe_too=") == R"({"maybe_too":null})");
  CHECK(of("maybe_too=0.5") == R"({"maybe_too":0.5})");
  CHECK(of("tags=b&s=x&tags=a") == R"({"s":"x","tags":["b","a"]})");
  CHECK(of("tags=1") == R"({"tags":["1"]})");
  CHECK(of("sizes=1&sizes=2") == R"({"sizes":[1,2]})");
  CHECK(of("sizes=1&sizes=x") == refused("sizes", "a list of which each is an integer of at most 64 bits"));
  CHECK(of("colour=red") == R"({"colour":"red"})");
  CHECK(of("colour=blue") == refused("colour", R"(one of "red", "green")"));
  CHECK(of("either=a") == R"({"either":"a"})");
  CHECK(of("either=7") == R"({"either":7})");
  CHECK(of("either=8") == refused("either", R"(one of "a", 7)"));
  CHECK(of("level=2") == R"({"level":2})");
  CHECK(of("level=3") == refused("level", "one of 1, 2"));
  CHECK(of("mixed=3") == R"({"mixed":3})");
  CHECK(of("mixed=3a") == R"({"mixed":"3a"})");
  CHECK(of("one_or_more=3") == R"({"one_or_more":3})");
  CHECK(of("one_or_more=a") == R"({"one_or_more":["a"]})");
  CHECK(of("one_or_more=a&one_or_more=3") == R"({"one_or_more":["a","3"]})");
  CHECK(of("all=x") == refused("all", "an integer of at most 64 bits"));
  CHECK(of("thing={}") == refused("thing", "an object, which only a body can carry"));
  CHECK(of("any=1&yes=2&loop=3&lost=4&far=5&unheard=6") ==
        R"({"any":"1","far":"5","loop":"3","lost":"4","unheard":"6","yes":"2"})");
  CHECK(of("deep=x").find("400 ") == 0);
}

TEST_CASE("payload: a schema costs a bounded amount of work, whatever it says", "[routes]") {
  // Each reference doubles the work of the next one, and each property asks for all of it.
  json schema;
  for (int i = 0; i < 60; ++i) {
    const json next = {{"$ref", "#/$defs/d" + std::to_string(i + 1)}};
    schema["$defs"]["d" + std::to_string(i)] = {{"anyOf", {next, next}}};
  }
  schema["$defs"]["d60"] = {{"type", "integer"}};
  for (int i = 0; i < 2'000; ++i) schema["$defs"]["many"]["enum"].push_back("v" + std::to_string(i));
  for (int i = 0; i < 500; ++i) {
    schema["properties"]["p" + std::to_string(i)] = {{"$ref", "#/$defs/d0"}};
    schema["properties"]["m" + std::to_string(i)] = {{"$ref", "#/$defs/many"}};
  }
  const auto table = serving(R"(["GET /do"])", schema.dump());
  CHECK(shown(table, {"GET", "/do?m1=v1999", "", {}}) == R"({"m1":"v1999"})");
  CHECK(shown(table, {"GET", "/do?m1=unheard", "", {}}) == 
        R"(400 the request cannot be turned into what shop.do takes [m1] expected one of "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", )"
        R"("v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", ..., got "unheard")");
  CHECK(plan(table, {"GET", "/do?p1=1", "", {}}).call);
}

TEST_CASE("payload: a query is decoded once, and is refused where it is ambiguous", "[routes]") {
  const auto table = serving(R"(["GET /do"])", every_type);
  const auto of = [&](const std::string& query) { return shown(table, {"GET", "/do?" + query, "", {}}); };
  CHECK(of("s=a+b%20c%2Bd%26e%3Df") == R"({"s":"a b c+d&e=f"})");
  CHECK(of("s=%2541") == R"({"s":"%41"})");
  CHECK(of("s=a=b") == R"({"s":"a=b"})");
  CHECK(of("%73=x") == R"({"s":"x"})");
  CHECK(of("&&s=x&") == R"({"s":"x"})");
  CHECK(of("s=a/b?c") == R"({"s":"a/b?c"})");
  CHECK(of("s=1&s=2") ==
        "400 the request cannot be turned into what shop.do takes [s] query parameter s: expected one value; it came "
        "more than once");
  CHECK(of("s=1&%73=1").find("came more than once") != std::string::npos);
  CHECK(of("new=1&new=2").find("came more than once") != std::string::npos);
  CHECK(of("s=%zz") == "400 the query cannot be read: a % is not followed by two hexadecimal digits");
  CHECK(of("s=%") == "400 the query cannot be read: a % is not followed by two hexadecimal digits");
  CHECK(of("s=%C3") == "400 the query cannot be read: it is not UTF-8");
  CHECK(of("%FF=1") == "400 the query cannot be read: it is not UTF-8");
  CHECK(of("s=%00") == "400 the query cannot be read: it holds a zero byte");
  std::string many;
  for (int i = 0; i < 256; ++i) many += "tags=x&";
  CHECK(of(many).find(R"({"tags":["x",)") == 0);
  CHECK(of(many + "s=1") == "400 the query cannot be read: it has more than 256 parameters");
}

TEST_CASE("payload: all that cannot be converted is listed at once", "[routes]") {
  const auto table = serving(R"(["GET /do/{id}"])", every_type);
  CHECK(shown(table, {"GET", "/do/x?n=y&on=z&s=1", "", {}}) ==
        "400 the request cannot be turned into what shop.do takes"
        " [id] path parameter id: expected an integer of at most 64 bits"
        " [n] query parameter n: expected a number [on] query parameter on: expected true or false");
  const auto body = json::parse(plan(table, {"GET", "/do/x", "", {}}).response.body);
  CHECK(body == json::parse(R"({"type":"about:blank","title":"Bad Request","status":400,
    "detail":"the request cannot be turned into what shop.do takes","code":"INVALID_ARGUMENT","may_have_run":false,
    "errors":[{"path":"id","message":"path parameter id: expected an integer of at most 64 bits"}]})"));
}

TEST_CASE("payload: a path parameter wins over a query parameter and over an entry of the body", "[routes]") {
  const auto table = serving(R"(["GET /do/{id}","POST /do/{id}","DELETE /do/{id}"])", every_type);
  CHECK(shown(table, {"GET", "/do/1?id=2&s=x", "", {}}) == R"({"id":1,"s":"x"})");
  CHECK(shown(table, {"DELETE", "/do/1?s=x", "", {}}) == R"({"id":1,"s":"x"})");
  CHECK(shown(table, {"POST", "/do/1", R"({"s":"x","id":2,"t":[1,{"id":3}]})", {}}) ==
        R"({"id":1,"s":"x","t":[1,{"id":3}]})");
  CHECK(shown(table, {"POST", "/do/1?s=ignored", "", {}}) == R"({"id":1})");
  CHECK(shown(table, {"POST", "/do/1", "[1]", {}}) ==
        "400 the request cannot be turned into what shop.do takes [] body: expected an object");
  CHECK(shown(table, {"POST", "/do/1", "\x82\x01\x02\xa1s\x03", {{"content-type", "application/msgpack"}}}) ==
        R"({"id":1,"1":2,"s":3})");
  std::string wide = "{\"id\":0", expected = "{\"id\":1";
  for (int i = 0; i < 300; ++i) {
    const auto entry = ",\"k" + std::to_string(i) + "\":" + std::to_string(i);
    wide += entry;
    expected += entry;
  }
  CHECK(shown(table, {"POST", "/do/1", wide + "}", {}}) == expected + "}");
}

TEST_CASE("payload: without path parameters the body is the payload, and no body an empty object", "[routes]") {
  const auto table = serving(R"(["POST /do","PUT /do","PATCH /do","GET /do"])");
  for (const auto method : {"POST", "PUT", "PATCH"}) {
    CHECK(shown(table, {method, "/do", R"({"a":1.0,"b":[null]})", {}}) == R"({"a":1.0,"b":[null]})");
    CHECK(shown(table, {method, "/do", "[1,2]", {}}) == "[1,2]");
    CHECK(shown(table, {method, "/do?a=1", "", {}}) == "{}");
  }
  CHECK(shown(table, {"GET", "/do", "{}", {}}) == "400 this route takes no body");
}

TEST_CASE("payload: a body is JSON or msgpack, says so, and is checked alike", "[routes]") {
  const auto table = serving(R"(["POST /do"])");
  const auto of = [&](std::string body, std::string type) {
    return shown(table, {"POST", "/do", std::move(body), {{"Content-Type", std::move(type)}}});
  };
  CHECK(shown(table, {"POST", "/do", "{}", {}}) == "{}");
  for (const auto type : {"application/json", "APPLICATION/JSON", "application/json; charset=utf-8",
                          "application/json;charset=\"UTF-8\"", ""}) {
    CAPTURE(type);
    CHECK(of("{\"a\":1}", type) == "{\"a\":1}");
  }
  for (const auto type : {"application/vnd.msgpack", "application/msgpack", "Application/MsgPack; x=y"}) {
    CAPTURE(type);
    CHECK(of("\x81\xa1"
             "a\x01",
             type) == "{\"a\":1}");
  }
  for (const auto type :
       {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
        "application/json; charset=latin1", "application/jsonp", "json", "application/merge-patch+json"}) {
    CAPTURE(type);
    const auto out = plan(table, {"POST", "/do", "{}", {{"content-type", type}}});
    CHECK(out.shown() == "415 a body is application/json or application/vnd.msgpack; say which in Content-Type");
    CHECK(out.header("Accept") == "application/json, application/vnd.msgpack, application/msgpack");
  }
  CHECK(shown(table, {"POST", "/do", "", {{"content-type", "text/plain"}}}) == "{}");
  CHECK(shown(table, {"POST", "/do", "{}", {{"Content-Encoding", "gzip"}}}) ==
        "415 a body comes as it is; leave Content-Encoding away");
  CHECK(shown(table, {"POST", "/do", "{}", {{"Content-Encoding", "identity"}}}) == "{}");
  CHECK(of("{\"a\":1,\"a\":2}", "application/json") ==
        "400 the body is not acceptable JSON at line 1, column 10: the key comes twice: \"a\"");
  CHECK(of("{", "application/json") ==
        "400 the body is not acceptable JSON at line 1, column 1: the text ends too early");
  const auto packed = [&](std::string body) { return of(std::move(body), "application/msgpack"); };
  CHECK(packed("\x82\xa1"
               "a\x01\xa1"
               "a\x02") == "400 the body is not acceptable msgpack at byte 7: a key comes twice in a map");
  CHECK(packed("\x01\x02") == "400 the body is not acceptable msgpack at byte 1: more bytes after the value");
  CHECK(packed("\xa1\xff") == "400 the body is not acceptable msgpack at byte 2: a string is not UTF-8");
  CHECK(packed("\x81\xa1\xff\x01") == "400 the body is not acceptable msgpack at byte 3: a string is not UTF-8");
  CHECK(packed("\xc1") == "400 the body is not acceptable msgpack at byte 0: 0xc1 begins no value");
  CHECK(packed("\x92\x01") ==
        "400 the body is not acceptable msgpack at byte 0: the array announces more elements than there are bytes");
  CHECK(packed(std::string(64, '\x91') + "\x01").find("[[[[") == 0);
  CHECK(packed(std::string(65, '\x91') + "\x01") ==
        "400 the body is not acceptable msgpack at byte 64: values are nested too deep");
  CHECK(packed("\xdd\xff\xff\xff\xff") ==
        "400 the body is not acceptable msgpack at byte 0: the array announces more elements than there are bytes");
}

TEST_CASE("payload: fields come from where the configuration says, and are left out when that is absent", "[routes]") {
  const auto table = serving("[]", R"({"properties":{"n":{"type":"integer"},"tags":{"type":"array"}}})", R"(
routes:
  - route: POST /do/{who}
    call: shop.do
    fields:
      name: path.who
      n: { from: query.count, default: 10 }
      tags: query.tag
      tenant: header.X-Tenant
      city: body.address.city
      whole: body
      kind: { value: { a: [1, "1", 1.0, true, null, x] } }
  - route: PUT /do
    call: shop.do
    fields: body
  - route: DELETE /do
    call: shop.do
    fields: {}
  - route: DELETE /do/{who}
    call: shop.do
    fields: { who: path.who, why: body.reason }
)");
  CHECK(shown(table, {"POST", "/do/Ada", "", {}}) == R"({"name":"Ada","n":10,"kind":{"a":[1,"1",1.0,true,null,"x"]}})");
  CHECK(
      shown(
          table,
          {"POST", "/do/Ada?count=3&tag=a&tag=b&other=1", R"({"address":{"city":{"zip":1}}})", {{"x-tenant", "t1"}}}) ==
      R"({"name":"Ada","n":3,"tags":["a","b"],"tenant":"t1","city":{"zip":1},"whole":{"address":{"city":{"zip":1}}},"kind":{"a":[1,"1",1.0,true,null,"x"]}})");
  CHECK(shown(table, {"POST", "/do/Ada?count=x", R"({"address":[]})", {{"X-TENANT", "t1"}, {"x-tenant", "t2"}}}) ==
        "400 the request cannot be turned into what shop.do takes [n] query parameter count: expected an integer of at "
        "most 64 bits"
        " [tenant] header X-Tenant: expected one value; it came more than once");
  CHECK(shown(table, {"POST", "/do/Ada", "", {{"X-Tenant", "\xff"}}}) ==
        "400 the request cannot be turned into what shop.do takes [tenant] header X-Tenant: expected UTF-8");
  CHECK(shown(table, {"PUT", "/do", "[1]", {}}) == "[1]");
  CHECK(shown(table, {"PUT", "/do", "", {}}) == "{}");
  CHECK(shown(table, {"DELETE", "/do", "", {}}) == "{}");
  CHECK(shown(table, {"DELETE", "/do", "1", {}}) == "400 this route takes no body");
  CHECK(shown(table, {"DELETE", "/do/x", R"({"reason":null})", {}}) == R"({"who":"x","why":null})");
}

TEST_CASE("answer: the form of the reply follows Accept", "[routes]") {
  const auto table = serving(R"(["GET /do"])");
  const auto of = [&](std::vector<std::string> accept) -> std::string {
    sent in{"GET", "/do", "", {}};
    for (auto& each : accept) in.headers.emplace_back("accept", std::move(each));
    const auto out = plan(table, in);
    return out.call ? std::string{media_type(out.call->reply)} : std::to_string(out.response.status);
  };
  CHECK(of({}) == "application/json");
  CHECK(of({""}) == "application/json");
  CHECK(of({"*/*"}) == "application/json");
  CHECK(of({"application/*"}) == "application/json");
  CHECK(of({"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}) == "application/json");
  CHECK(of({"application/vnd.msgpack"}) == "application/vnd.msgpack");
  CHECK(of({"application/msgpack"}) == "application/msgpack");
  CHECK(of({"APPLICATION/MSGPACK"}) == "application/msgpack");
  CHECK(of({"application/msgpack, application/vnd.msgpack"}) == "application/vnd.msgpack");
  CHECK(of({"application/json, application/msgpack"}) == "application/json");
  CHECK(of({"application/json;q=0.5, application/msgpack"}) == "application/msgpack");
  CHECK(of({"application/json;q=0.5", "application/msgpack;q=0.501"}) == "application/msgpack");
  CHECK(of({"application/msgpack;q=0.3, */*;q=0.2"}) == "application/msgpack");
  CHECK(of({"application/json;q=0, */*"}) == "application/vnd.msgpack");
  CHECK(of({"application/*;q=0, application/json"}) == "application/json");
  CHECK(of({"*/*;q=0, application/json;q=0.001"}) == "application/json");
  CHECK(of({"application/json; charset=utf-8; q=0.1, application/msgpack ;Q=0.2"}) == "application/msgpack");
  CHECK(of({"application/json;v=\"a,b;q=0\""}) == "application/json");
  CHECK(of({"application/json;q=2, application/msgpack"}) == "application/msgpack");  // no weight at all: not read
  CHECK(of({"nonsense"}) == "application/json");
  CHECK(of({"\"", ",,;;"}) == "application/json");
  CHECK(of({"text/html"}) == "406");
  CHECK(of({"*/*;q=0"}) == "406");
  CHECK(of({"application/problem+json"}) == "406");
  const auto refused = plan(table, {"GET", "/do", "", {{"Accept", "text/html"}}});
  CHECK(refused.header("Vary") == "Accept");
}

namespace {
planned_call call_of(std::string command, reply_format format) {
  planned_call out;
  out.command = std::move(command);
  out.reply = format;
  return out;
}
}  // namespace

TEST_CASE("answer: a reply is JSON or the worker's bytes, and a malformed one is an error", "[routes]") {
  const auto answer = [](reply_format format, waggle::result<std::string> payload) {
    return router::answer(call_of("shop.do", format), payload);
  };
  const std::string reply =
      "\x81\xa1"
      "a\xc4\x01z";
  const auto text = answer(reply_format::json, reply);
  CHECK(text.status == 200);
  CHECK(text.content_type == "application/json");
  CHECK(text.body == R"({"a":"eg=="})");
  CHECK(headers_of(text) == fields{{"Vary", "Accept"}});
  const auto packed = answer(reply_format::vnd_msgpack, reply);
  CHECK(packed.content_type == "application/vnd.msgpack");
  CHECK(packed.body == reply);
  CHECK(answer(reply_format::json, "\xc0").body == "null");
  CHECK(answer(reply_format::json, "").body == "null");
  CHECK(answer(reply_format::msgpack, "").body == "\xc0");
  for (const auto format : {reply_format::json, reply_format::msgpack}) {
    for (const auto& bytes : {"\xc1"s, "\x91"s, "\x01\x02"s}) {
      const auto out = answer(format, bytes);
      CHECK(out.status == 500);
      CHECK(out.content_type == "application/problem+json");
      const auto body = json::parse(out.body);
      CHECK(body.at("code") == "INTERNAL");
      CHECK(body.at("may_have_run") == true);
      CHECK(body.at("detail").get<std::string>().find("the reply of shop.do cannot be passed on: ") == 0);
    }
  }
}

TEST_CASE("answer: an error is a problem that says what the caller may do", "[routes]") {
  const auto answer = [](waggle::error error) {
    return router::answer(call_of("shop.do", reply_format::msgpack),
                          tl::unexpected{std::move(error)});
  };
  const auto out = answer({status::unavailable, "no worker serves \"shop.do\" now", false, 1500ms, {}});
  CHECK(out.status == 503);
  CHECK(out.content_type == "application/problem+json");
  CHECK(headers_of(out) == fields{{"Retry-After", "2"}, {"Vary", "Accept"}});
  CHECK(
      out.body ==
      R"({"type":"about:blank","title":"Service Unavailable","status":503,"detail":"no worker serves \"shop.do\" now",)"
      R"("code":"UNAVAILABLE","may_have_run":false})");
  const auto invalid =
      json::parse(answer({status::invalid_argument, "bad", false, {}, {{"a.b[1]", "expected \xff"}, {"", "y"}}}).body);
  CHECK(invalid.at("errors") ==
        json::parse(R"([{"path":"a.b[1]","message":"expected \ufffd"},{"path":"","message":"y"}])"));
  const auto retry_after = [&](std::chrono::milliseconds time) {
    return std::string{answer({status::resource_exhausted, "", false, time, {}}).headers.find("Retry-After").value_or("none")};
  };
  CHECK(retry_after(0ms) == "0");
  CHECK(retry_after(1ms) == "1");
  CHECK(retry_after(1000ms) == "1");
  CHECK(retry_after(1001ms) == "2");
  for (std::uint64_t code = 1; code <= waggle::status_last; ++code) {
    const auto each = waggle::status_from(code);
    const auto body = json::parse(answer({each, "why", true, {}, {}}).body);
    CHECK(body.at("status") == waggle::info(each).http);
    CHECK(body.at("code") == waggle::name(each));
    CHECK(body.at("may_have_run") == true);
    CHECK((waggle::info(each).http == 500) == (body.at("title") == "Internal Server Error"));
  }
  CHECK(answer({status::ok, "an error that says OK", true, {}, {}}).status == 500);
}

TEST_CASE("answer: a refusal of the gateway has no code, since nothing was called", "[routes]") {
  const auto body = json::parse(plan(router{}, {"GET", "/x", "", {}}).response.body);
  CHECK(
      body ==
      json::parse(
          R"({"type":"about:blank","title":"Not Found","status":404,"detail":"no route takes this path","may_have_run":false})"));
}
