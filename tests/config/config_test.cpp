#include "daguerre/config/config.hpp"

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "daguerre/core/error.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"

using namespace daguerre;

namespace {

Config parse(std::string_view json) {
  return Config::parse(json, "config.json");
}

void malformed(std::string_view json, std::initializer_list<std::string_view> parts) {
  test::expect_error<FormatError>([&] { parse(json); }, {"config.json"});
  test::expect_error<FormatError>([&] { parse(json); }, parts);
}

template <class F>
void refused(F&& action, std::initializer_list<std::string_view> parts) {
  test::expect_error<ConfigError>(action, {"[config] config.json: "});
  test::expect_error<ConfigError>(action, parts);
}

}  // namespace

TEST_CASE("a config hands out typed values", "[weights][config]") {
  const auto config =
      parse(R"({"_class_name": "UNet2DConditionModel", "a": 8, "b": 8.0, "c": 0.00085, "d": true,
      "e": "silu", "f": null, "g": [1, 2.0], "h": ["x", "y"], "i": [0.5, 2], "j": {"k": [1, null]}, "l": -3})");
  CHECK(config.source() == "config.json");
  CHECK(config.class_name() == "UNet2DConditionModel");
  CHECK(config.get("a", 1) == 8);
  CHECK(config.get("b", 1) == 8);
  CHECK(config.get("l", 1) == -3);
  CHECK(config.get("c", 1.0) == 0.00085);
  CHECK(config.get("a", 1.0) == 8.0);
  CHECK(config.get("d", false));
  CHECK(config.get("e", "relu") == "silu");
  CHECK(config.require_int("b") == 8);
  CHECK(config.require_ints("g") == std::vector<int>{1, 2});
  CHECK(config.require_strings("h") == std::vector<std::string>{"x", "y"});
  CHECK(config.doubles("i") == std::vector<double>{0.5, 2.0});
  CHECK(config.int_or_list("g", 2, 7) == std::vector<int>{1, 2});
  CHECK(config.int_or_list("a", 3, 7) == std::vector<int>{8, 8, 8});
  CHECK(config.json("j") == "{\"k\": [1, null]}");
  CHECK(config.optional_int("a") == 8);
  CHECK(config.optional_double("c") == 0.00085);
  CHECK(config.optional_string("e") == "silu");
  config.ignore({"f"});
  config.finish();

  SECTION("an absent key has its default") {
    CHECK(config.get("absent", true));
    CHECK(config.get("absent", 5) == 5);
    CHECK(config.get("absent", 0.5) == 0.5);
    CHECK(config.get("absent", "x") == "x");
    CHECK(config.int_or_list("absent", 2, 7) == std::vector<int>{7, 7});
    CHECK_FALSE(config.is_null("absent"));
    config.expect("absent", {"true"});
  }
  SECTION("null is None: off, no value, or wrong") {
    CHECK(config.is_null("f"));
    CHECK_FALSE(config.get("f", true));
    CHECK_FALSE(config.get("f", false));
    refused([&] { config.get("f", 5); }, {"\"f\" is null"});
    refused([&] { config.get("f", 0.5); }, {"\"f\" is null"});
    refused([&] { config.get("f", "x"); }, {"\"f\" is null"});
    refused([&] { config.int_or_list("f", 2, 7); }, {"\"f\" is null"});
    config.expect("f", {"null"});
    config.expect("f", {"\"x\"", "false"});
    refused([&] { config.expect("f", {"true", "3"}); }, {"\"f\" is null, supported: true, 3"});
  }
  SECTION("what is optional may be either") {
    for (const std::string key : {"f", "absent"}) {
      CHECK_FALSE(config.has(key));
      CHECK(config.doubles(key).empty());
      CHECK_FALSE(config.json(key).has_value());
      CHECK_FALSE(config.optional_int(key).has_value());
      CHECK_FALSE(config.optional_double(key).has_value());
      CHECK_FALSE(config.optional_string(key).has_value());
      CHECK_FALSE(config.int_or_pair(key).has_value());
      refused([&] { config.require_int(key); }, {key, "is missing"});
      refused([&] { config.require_ints(key); }, {key, "is missing"});
      refused([&] { config.require_strings(key); }, {key, "is missing"});
    }
    CHECK(config.has("d"));
  }
  SECTION("one value or a list, also of lists") {
    const auto lists = parse(R"({"a": [1, [2, 3]], "b": 4, "c": [true, false], "d": true, "e": null})");
    using Lists = std::vector<std::vector<int>>;
    CHECK(lists.int_or_lists("a", 2, 7) == Lists{{1}, {2, 3}});
    CHECK(lists.int_or_lists("b", 2, 7) == Lists{{4}, {4}});
    CHECK(lists.int_or_lists("absent", 3, 7) == Lists{{7}, {7}, {7}});
    refused([&] { lists.int_or_lists("a", 3, 7); }, {"a list of 3"});
    refused([&] { lists.int_or_lists("d", 1, 7); }, {"an integer"});
    refused([&] { lists.int_or_lists("e", 1, 7); }, {"\"e\" is null"});
    CHECK(lists.bool_or_list("c", 2, true) == std::vector<bool>{true, false});
    CHECK(lists.bool_or_list("d", 2, false) == std::vector<bool>{true, true});
    CHECK(lists.bool_or_list("e", 2, true) == std::vector<bool>{false, false});
    CHECK(lists.bool_or_list("absent", 1, true) == std::vector<bool>{true});
    refused([&] { lists.bool_or_list("c", 3, true); }, {"a list of 3"});
    CHECK(lists.is_list("a"));
    CHECK_FALSE(lists.is_list("b"));
    CHECK_FALSE(lists.is_list("absent"));
  }
  SECTION("one number or a pair") {
    CHECK(config.int_or_pair("a") == std::pair(8, 8));
    CHECK(config.int_or_pair("g") == std::pair(1, 2));
    refused([&] { parse(R"({"s": [8]})").int_or_pair("s"); }, {"an integer or a pair", "[8]"});
    refused([&] { parse(R"({"s": [8, 8, 8]})").int_or_pair("s"); }, {"an integer or a pair"});
    refused([&] { parse(R"({"s": [8, "8"]})").int_or_pair("s"); }, {"must be an integer"});
    refused([&] { parse(R"({"s": "8"})").int_or_pair("s"); }, {"must be an integer"});
  }
}

TEST_CASE("a config names the class of transformers' files", "[weights][config]") {
  CHECK(parse(R"({"architectures": ["CLIPTextModel", "x"]})").class_name() == "CLIPTextModel");
  CHECK(parse(R"({"architectures": null})").class_name().empty());
  CHECK(parse("{}").class_name().empty());
  refused([] { parse(R"({"_class_name": 3})").class_name(); }, {"_class_name", "a string", "found 3"});
}

TEST_CASE("values of the wrong type are refused", "[weights][config]") {
  const auto config = parse(
      R"({"fraction": 8.5, "text": "8", "big": 2147483648, "small": -2147483649, "huge": 1e300, "inf": Infinity,
          "nan": NaN, "list": [1, 2, "3"], "yes": 1, "true": true, "most": 2147483647, "least": -2147483648.0})");
  for (const std::string key : {"fraction", "big", "small", "huge", "inf", "nan"})
    refused([&] { config.get(key, 1); }, {"\"" + key + "\" must be an integer of 32 bits"});
  for (const std::string key : {"text", "true", "list"})
    refused([&] { config.get(key, 1); }, {"\"" + key + "\" must be an integer"});
  CHECK(config.get("most", 0) == std::numeric_limits<int>::max());
  CHECK(config.get("least", 0) == std::numeric_limits<int>::min());
  refused([&] { config.get("yes", false); }, {"\"yes\" must be true or false, found 1"});
  refused([&] { config.get("text", 1.0); }, {"\"text\" must be a number, found \"8\""});
  refused([&] { config.get("true", 1.0); }, {"must be a number"});
  refused([&] { config.get("yes", "x"); }, {"must be a string, found 1"});
  refused([&] { config.require_ints("list"); }, {"\"list\" must be an integer, found \"3\""});
  refused([&] { config.require_ints("yes"); }, {"must be a list"});
  refused([&] { config.require_strings("list"); }, {"must be a string, found 1"});
  refused([&] { config.doubles("text"); }, {"must be a list"});
  refused([&] { config.int_or_list("list", 3, 1); }, {"must be an integer"});
  refused([&] { parse(R"({"a": [1, 2]})").int_or_list("a", 3, 1); }, {"a list of 3", "found [1, 2]"});
  refused([&] { config.json("text"); }, {"an object or a list"});
}

TEST_CASE("numbers are exact and may be infinite", "[weights][config]") {
  const auto config = parse(R"({"a": 0.1, "b": 1e-45, "c": 123456789.123456789, "d": 4.9e-324, "e": 0.012,
      "lambda_min_clipped": -Infinity, "f": [Infinity, NaN, -Infinity], "NaN": "Infinity, \"NaN", "g": ["NaN"]})");
  CHECK(config.get("a", 0.0) == 0.1);
  CHECK(config.get("b", 0.0) == 1e-45);
  CHECK(config.get("c", 0.0) == 123456789.123456789);
  CHECK(config.get("d", 0.0) == std::numeric_limits<double>::denorm_min());
  CHECK(config.get("e", 0.0) == 0.012);
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(config.get("lambda_min_clipped", 0.0) == -infinity);
  const auto list = config.doubles("f");
  REQUIRE(list.size() == 3);
  CHECK((list[0] == infinity && std::isnan(list[1]) && list[2] == -infinity));
  CHECK(config.get("NaN", "") == "Infinity, \"NaN");
  CHECK(config.require_strings("g") == std::vector<std::string>{"NaN"});
  config.finish();

  SECTION("also after a round trip through text") {
    const auto again = parse(config.dump());
    CHECK(again.dump() == config.dump());
    CHECK(again.get("lambda_min_clipped", 0.0) == -infinity);
    CHECK(again.get("c", 0.0) == 123456789.123456789);
    CHECK(again.get("NaN", "") == "Infinity, \"NaN");
  }
}

TEST_CASE("malformed configs", "[weights][config]") {
  malformed("", {"byte 0", "not valid JSON"});
  malformed("[1]", {"expected a JSON object"});
  malformed("3", {"expected a JSON object"});
  malformed("Infinity", {"expected a JSON object"});
  malformed(R"({"a": 1,})", {"byte 8", "not valid JSON"});
  malformed(R"({"a": 1} {})", {"byte 9", "not valid JSON"});
  malformed(R"({"a": Infinit})", {"not valid JSON"});
  malformed(R"({"a": Infinityx})", {"byte 14", "not valid JSON"});
  malformed(R"({"a": --Infinity})", {"not valid JSON"});
  malformed(R"({"a": 1NaN})", {"not valid JSON"});
  malformed(R"({NaN: 1})", {"not valid JSON"});
  malformed(R"({"a": 1e400})", {"not valid JSON"});
  malformed(R"({"a": "\ud800"})", {"not valid JSON"});
  malformed("{\"a\": \"\xFF\"}", {"byte 7", "not valid UTF-8"});
  malformed(std::string("{}\0{}", 5), {"byte 2", "NUL byte"});
  malformed(R"({"a": 1, "b": {"c": 1, "c": 2}})", {"duplicate key \"c\""});
  malformed(R"({"a": 1, "a": 1})", {"duplicate key \"a\""});
  malformed(R"([{"a": 1}, {"a": 1, "\u0061": 1}])", {"duplicate key \"a\""});
  malformed("{\"a\": " + std::string(1'000'000, '['), {"nested deeper than 64 levels"});
  const auto nested = [](std::size_t depth) {
    return "{\"a\": " + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  CHECK(parse(nested(63)).has("a"));
  malformed(nested(64), {"nested deeper than 64 levels"});
  test::expect_error<FileError>([] { Config::load("no/such/config.json"); }, {"no/such/config.json"});
}

TEST_CASE("a config is read completely or refused", "[weights][config]") {
  const auto config = parse(R"({"_diffusers_version": "0.31.0", "known": 1, "off": false, "none": null,
      "flag": true, "mode": "x", "dropout": 0.1})");
  refused([&] { config.finish(); },
          {"\"known\": 1", "\"flag\": true", "\"mode\": \"x\"", "\"dropout\": 0.1"});
  config.get("known", 0);
  config.ignore({"dropout", "not_there"});
  CHECK(config.has("flag"));  // does not count as reading
  refused([&] { config.finish(); }, {"\"flag\": true, \"mode\": \"x\""});
  config.expect("flag", {"false", "true"});
  config.expect("mode", {"\"default\"", "\"x\""});
  config.finish();

  SECTION("expected values") {
    config.expect("known", {"1.0"});
    config.expect("absent", {"1"});
    config.expect("none", {"null"});
    refused(
        [&] {
          config.expect("mode", {"\"default\"", "null"});
        },
        {"\"mode\" is \"x\"", "supported: \"default\", null"});
    refused([&] { config.expect("known", {"true", "2"}); }, {"\"known\" is 1"});
  }
  SECTION("keys can be taken out") {
    const auto changed = config.without({"known", "flag", "dropout", "not_there"});
    CHECK(changed.get("known", 7) == 7);
    refused([&] { changed.finish(); }, {": \"mode\": \"x\""});
    config.finish();
  }
  SECTION("an override counts as unread again") {
    const auto changed = config.with(R"({"known": 2, "new": 3, "flag": null})");
    CHECK(changed.get("known", 0) == 2);
    CHECK_FALSE(changed.has("flag"));
    CHECK(config.get("known", 0) == 1);
    refused([&] { changed.finish(); }, {"\"new\": 3", "\"mode\""});
    test::expect_error<FormatError>([&] { config.with("[1]"); }, {"config.json (overrides)"});
    CHECK(config.with(R"({"known": Infinity})").get("known", 0.0) == std::numeric_limits<double>::infinity());
  }
}

TEST_CASE("what training code leaves in a config has no effect", "[weights][config]") {
  const auto config =
      parse(R"({"decay": 0.9999, "inv_gamma": 1.0, "min_decay": 0.0, "optimization_step": 15000,
      "power": 0.6666666666666666, "update_after_step": 0, "use_ema_warmup": true, "layers": 2})");
  CHECK(config.get("layers", 0) == 2);
  config.finish();
  CHECK(config.leftover_keys() == std::vector<std::string>{"decay", "inv_gamma", "min_decay",
                                                           "optimization_step", "power", "update_after_step",
                                                           "use_ema_warmup"});
  // A class that has such an option reads it.
  CHECK(config.get("power", 1.0) < 0.7);
  CHECK(config.leftover_keys().size() == 6);
  CHECK(parse(R"({"layers": 2})").leftover_keys().empty());
}

TEST_CASE("copies of a config may be read from several threads", "[weights][config]") {
  std::string json = "{\"a\": 1";
  for (int i = 0; i < 200; ++i) json += ", \"k" + std::to_string(i) + "\": " + std::to_string(i);
  const auto config = parse(json + "}");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([copy = config, t] {
      for (int i = t; i < 200; i += 4) copy.get(std::string("k").append(std::to_string(i)), -1);
    });
  for (auto& thread : threads) thread.join();
  refused([&] { config.finish(); }, {": \"a\": 1"});
  config.ignore({"a"});
  config.finish();
}

TEST_CASE("every recorded config is read", "[weights][config][golden]") {
  int files = 0, infinite = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(std::filesystem::path(DAGUERRE_TEST_DATA) / "golden")) {
    if (!entry.path().filename().string().ends_with("config.json")) continue;
    INFO(entry.path());
    ++files;
    const auto config = Config::load(entry.path());
    CHECK(parse(config.dump()).dump() == config.dump());
    if (config.has("lambda_min_clipped")) infinite += std::isinf(config.get("lambda_min_clipped", 0.0));
  }
  CHECK(files > 50);
  CHECK(infinite > 0);
}
