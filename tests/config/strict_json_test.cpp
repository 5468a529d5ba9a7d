#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "config/json.hpp"
#include "config/strict_sax.hpp"
#include "daguerre/core/error.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace daguerre;

namespace {

/// Notes the names of keys and how far the reader came, and keeps nothing else.
class Watcher final : public StrictSax {
 public:
  Watcher() : StrictSax("test", "text") {}
  std::vector<JsonString> keys, strings;
  std::vector<std::size_t> progress;

 protected:
  void on_null() override {}
  void on_boolean(bool) override {}
  void on_integer(std::int64_t) override {}
  void on_unsigned(std::uint64_t) override {}
  void on_fraction(double, std::string_view) override {}
  void on_string(const JsonString& value) override { strings.push_back(value); }
  void on_start_object() override {}
  void on_key(const JsonString& name) override { keys.push_back(name); }
  void on_start_array() override {}
  void on_end() override {}
  void on_progress(std::size_t taken) override { progress.push_back(taken); }
};

}  // namespace

TEST_CASE("JSON is read as another reader reads it", "[weights][json]") {
  // Texts changed at random, most of which are no JSON any more. What is accepted must have the same value.
  const std::vector<std::string> seeds{
      R"({"a":[1,-2,3.5e-3,"x\u00e9\ud83d\ude00\n",true,false,null,{"b":{}}],"c":""})",
      R"([0,-0,1e5,-1.25E+10,123456789012345678901234567890,18446744073709551615,-9223372036854775808,1e-400,
          1e308,0.0001e-320,4.9e-324,0e99999999999999999999])",
      "{\"k\":\"\\\"\\\\\\/\\b\\f\\r\\t\",\"\xC3\xA9\":\"\xE6\x97\xA5\xF0\x9F\x98\x80\"}"};
  const std::string alphabet = "{}[]\",:0123456789eE+-.\\u tfn\"abc\xC3\xA9\xFF\n";
  std::mt19937 random(1);
  int accepted = 0, refused = 0;
  for (int round = 0; round < 40000; ++round) {
    std::string text = seeds[random() % seeds.size()];
    for (auto changes = random() % 4; changes > 0; --changes) {
      const std::size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = alphabet[random() % alphabet.size()];
          break;
        case 1:
          text.erase(at, 1 + random() % 3);
          break;
        case 2:
          text.insert(at, 1, alphabet[random() % alphabet.size()]);
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 6));
      }
      if (text.empty()) text = "1";
    }
    std::string problem;
    nlohmann::json ours;
    try {
      ours = parse_json(text, "text");
    } catch (const FormatError& error) {
      problem = error.what();
    }
    if (problem.find("duplicate key") != std::string::npos) continue;  // the other one lets them pass
    const auto theirs = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    INFO(text << "\n" << problem);
    REQUIRE(problem.empty() == !theirs.is_discarded());
    if (problem.empty()) REQUIRE(ours == theirs);
    ++(problem.empty() ? accepted : refused);
  }
  CHECK(accepted > 5000);
  CHECK(refused > 5000);
}

TEST_CASE("numbers that no double holds are too large, or nothing", "[weights][json]") {
  for (const auto* tiny :
       {"1e-400", "-1e-99999999999999999999", "0.000001e-330", "1234567890123456789e-350"}) {
    INFO(tiny);
    CHECK(parse_json(tiny, "text").get<double>() == 0.0);
  }
  CHECK(std::signbit(parse_json("-1e-400", "text").get<double>()));
  const std::string many_digits = "0." + std::string(400, '0') + "1", long_number(400, '9');
  CHECK(parse_json(many_digits, "text").get<double>() == 0.0);
  for (const std::string& large : {std::string("1e400"), std::string("-1e99999999999999999999"), long_number})
    test::expect_error<FormatError>([&] { parse_json(large, "text"); }, {"text: byte 0", "too large"});
  CHECK(parse_json("1" + std::string(300, '0'), "text").get<double>() == 1e300);
}

TEST_CASE("strings stay where they are, and keys are compared as they are meant", "[weights][json]") {
  const std::string text = R"({"plain": "a\u0062c", "esc\u0061ped": "\ud83d\ude00\/\n"})";
  Watcher watcher;
  watcher.parse(text);
  REQUIRE(watcher.keys.size() == 2);
  CHECK_FALSE(watcher.keys[0].escaped);
  CHECK(watcher.keys[0].raw.data() == text.data() + 2);
  CHECK(watcher.keys[1].decoded() == "escaped");
  CHECK(watcher.strings[0].decoded() == "abc");
  CHECK(watcher.strings[1].decoded() == "\U0001F600/\n");

  for (const auto* twice : {R"({"a": 1, "a": 2})", R"({"a": 1, "\u0061": 2})", R"({"x": {"a": 1, "a": 2}})"})
    test::expect_error<FormatError>([&] { Watcher().parse(twice); }, {"duplicate key \"a\""});
  // The same key in different objects is no duplicate, nor is it among many.
  std::string many = "{";
  for (int i = 0; i < 3000; ++i) many += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\": {\"a\": 1}";
  Watcher().parse(many + "}");
  test::expect_error<FormatError>([&] { Watcher().parse(many + ", \"77\": 1}"); }, {"duplicate key \"77\""});
  const std::string name(1 << 20, 'n');
  Watcher().parse("{\"" + name + "\": 1}");
  test::expect_error<FormatError>([&] { Watcher().parse("{\"" + name + "n\": 1}"); }, {"a key of more than"});
}

TEST_CASE("a reader tells how far it has come", "[weights][json]") {
  constexpr std::size_t mebibyte = 1 << 20;
  const std::vector<std::string> texts{"[\"" + std::string(5 * mebibyte, 'x') + "\"]",
                                       "[" + std::string(5 * mebibyte, ' ') + "]",
                                       "[" + std::string(5 * mebibyte, '1') + "e-6000000]"};
  for (const auto& text : texts) {
    Watcher watcher;
    watcher.parse(text);
    REQUIRE(watcher.progress.size() >= 4);
    std::size_t before = 0;
    for (const auto taken : watcher.progress) {
      CHECK(taken - before <= mebibyte + 8);
      before = taken;
    }
  }
}
