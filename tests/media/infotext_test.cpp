#include "daguerre/media/infotext.hpp"

#include <chrono>
#include <random>

#include "daguerre/core/error.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace daguerre;
using daguerre::test::expect_error;

namespace {

const std::vector<std::pair<std::string, std::string>> usual{
    {"Steps", "20"}, {"Sampler", "Euler a"}, {"CFG scale", "7.5"}, {"Seed", "42"}, {"Size", "512x512"}};

}  // namespace

TEST_CASE("infotext has the form that image programs read", "[infotext]") {
  const Infotext infotext{"a lighthouse\nat dawn", "fog", usual};
  const std::string text =
      "a lighthouse\nat dawn\nNegative prompt: fog\n"
      "Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 42, Size: 512x512";
  CHECK(to_string(infotext) == text);
  CHECK(parse_infotext(text) == infotext);
  CHECK(to_string(Infotext{"a", "", {{"Steps", "1"}, {"Note", "x, \"y\": z\n\u706f"}}}) ==
        "a\nSteps: 1, Note: \"x, \\\"y\\\": z\\n\u706f\"");
  CHECK(to_string(Infotext{}).empty());
  CHECK(parse_infotext("") == Infotext{});
  expect_error<ArgumentError>([] { to_string(Infotext{"", "", {{"a,b", "1"}}}); }, {"\"a,b\""});
  expect_error<ArgumentError>([] { to_string(Infotext{"", "", {{"x", "1"}}}); }, {"\"x\""});
}

TEST_CASE("infotext comes back as it was", "[infotext]") {
  auto parameters = usual;
  parameters.insert(parameters.end(), {{"Hires-fix/up scale", "2"},
                                       {"quoted", "\"in quotes\""},
                                       {"comma", "a, b"},
                                       {"colon", "Steps: 3"},
                                       {"newline", "a\nb"},
                                       {"empty", ""},
                                       {"blank", " padded\t"},
                                       {"slash", "\\"},
                                       {"half", "\"half"},
                                       {"unicode", "\u706f\u53f0 \U0001F5FC, \u00e9"},
                                       {"\u00dcber", "x"}});
  const Infotext infotext = GENERATE_COPY(
      Infotext{"a cat", "", parameters}, Infotext{"", "fog\n\nrain", parameters},
      Infotext{"", "", parameters},
      Infotext{"first\n\nSteps: 20, not the last line: 1, Seed: 3\n(\"\u706f\u53f0\":1.2) AND {a|b}, \\(x\\)",
               "Size: 1x1, Steps: 2, Seed: 3", parameters},
      Infotext{"says \"Negative prompt: none\" inside", "a Negative prompt: here", parameters});
  CHECK(parse_infotext(to_string(infotext)) == infotext);
}

TEST_CASE("infotext follows the convention where it is ambiguous", "[infotext]") {
  // Fewer than three parameters are a line of the prompt.
  CHECK(parse_infotext("a cat\nSteps: 20, Seed: 1") == Infotext{"a cat\nSteps: 20, Seed: 1", "", {}});
  CHECK(parse_infotext("a cat\nNegative prompt: b\nSteps: 20") == Infotext{"a cat", "b\nSteps: 20", {}});
  CHECK(parse_infotext("Steps: 20, Seed: 1, Size: 8x8") ==
        Infotext{"", "", {{"Steps", "20"}, {"Seed", "1"}, {"Size", "8x8"}}});
  CHECK(parse_infotext("a\nNegative prompt: b\nNegative prompt: c").negative_prompt == "b\nc");
  CHECK(parse_infotext(" a \r\n b \r\nNegative prompt:c \r\n") == Infotext{"a\nb", "c", {}});
  // What lies between parameters is skipped; a quoted value that is no JSON string stays as it is.
  CHECK(parse_infotext(
            "!! Steps: 20, x: 1, :, 7, Seed : 3,, Size:\t\"4, 5\" , Lora hashes: \"\\q\", AB: \"c\" d")
            .parameters ==
        std::vector<std::pair<std::string, std::string>>{
            {"Steps", "20"}, {"Seed ", "3"}, {"Size", "\"4"}, {"Lora hashes", "\"\\q\""}, {"AB", "\"c\" d"}});
}

TEST_CASE("random infotext comes back", "[infotext]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const std::vector<std::string> pieces{"a", "Z", "9", " ",      ",", ":",          "\"", "\\", "\t", "/",
                                        "-", "(", "]", "\u00e9", "{", "\U0001F5FC", "'",  "b",  "_",  "\\\""};
  const auto piece = [&] { return pieces[random() % pieces.size()]; };
  const auto text = [&](unsigned most) {
    std::string result;
    for (unsigned n = random() % (most + 1); n > 0; --n) result += piece();
    return result;
  };
  // Lines of a prompt keep neither spaces at their ends nor blank lines before the first and behind the last.
  const auto line = [&] { return std::string("x").append(text(20)).append("y"); };
  const auto prompt = [&] {
    std::string result = line();
    for (unsigned n = random() % 3; n > 0; --n)
      result.append("\n").append(random() % 2 ? line() : "").append("\n").append(line());
    return result;
  };
  for (int run = 0; run < 2000; ++run) {
    Infotext infotext{prompt(), random() % 2 ? prompt() : "", usual};
    for (unsigned n = random() % 4; n > 0; --n) {
      std::string value = text(12);
      if (random() % 4 == 0) value.append("\n").append(text(4));
      infotext.parameters.emplace_back(std::string("name ").append(std::to_string(n)), value);
    }
    INFO(to_string(infotext));
    REQUIRE(parse_infotext(to_string(infotext)) == infotext);
  }
}

TEST_CASE("long infotext is read in linear time", "[infotext]") {
  const std::vector<std::string> units{"\"", "a: \"", "aa: \"\\", "aa:", ",aa: \"x",
                                       "\n", "aa aa", "\\\"",     ": ",  "aa: \"b\" "};
  for (const auto& unit : units) {
    INFO(unit);
    std::string text;
    while (text.size() < 2'000'000) text += unit;
    const auto start = std::chrono::steady_clock::now();
    parse_infotext(text);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
  }
}
