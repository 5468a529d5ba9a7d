#include "daguerre/core/error.hpp"
#include "daguerre/text/compel.hpp"
#include "daguerre/text/extra_networks.hpp"
#include "daguerre/text/prompt_schedule.hpp"
#include "daguerre/text/prompt_weights.hpp"
#include "daguerre/text/prompt_windows.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace daguerre;
using namespace daguerre::text;
using daguerre::test::expect_error;

namespace {

std::string repeated(const std::string& text, std::size_t times) {
  std::string result;
  for (std::size_t i = 0; i < times; ++i) result += text;
  return result;
}

/// A token for each letter: windows of 2 + 8.
WindowTokenizer letters() {
  return {.encode =
              [](std::string_view text) {
                std::vector<std::int32_t> ids;
                for (const char c : text)
                  if (c != ' ') ids.push_back(c);
                return ids;
              },
          .start = {1},
          .end = 2,
          .pad = 3,
          .length = 10,
          .tokens = 128,
          .ends_word = [](std::int32_t) { return false; }};
}

}  // namespace

TEST_CASE("weights and numbers of prompts that are none are refused in one line", "[prompts]") {
  expect_error<ArgumentError>([&] { (void)parse_a1111_attention("(a:1.2.3)"); }, {"\"1.2.3\" is no number"});
  expect_error<ArgumentError>([&] { (void)lora_tag(take_extra_networks("<lora:x:strong>").networks.at(0)); },
                              {"\"strong\" in \"<lora:x:strong>\" is no number"});
  expect_error<ArgumentError>([&] { (void)lora_tag(take_extra_networks("<lora:te=1>").networks.at(0)); },
                              {"names no file"});
  expect_error<ArgumentError>([&] { (void)parse_a1111_schedule("[a:b:1e999]", {.steps = 10}); },
                              {"out of range"});
  expect_error<ArgumentError>([&] { (void)parse_a1111_schedule("[a|b]", {.steps = 1'000'000'000}); },
                              {"100000 are the most"});
  expect_error<ArgumentError>([&] { (void)parse_compel("(\"a\", \"b\").blend(1)"); },
                              {".blend() has 1 weights for 2 prompts"});
  expect_error<ArgumentError>([&] { (void)parse_compel("(\"a\", \"b\").and(1, x)"); },
                              {"\"x\" is no number"});
  expect_error<ArgumentError>([&] { (void)parse_compel("(\"a\", \"b\").blend(1, 2) c"); },
                              {"nothing may follow"});
}

TEST_CASE("endless brackets take no endless time, and no stack", "[prompts]") {
  constexpr std::size_t many = 30000;
  const auto open = repeated("(", many), close = repeated(")", many);
  CHECK(parse_a1111_attention(open + "a" + close).size() == 1);
  CHECK(parse_a1111_attention(repeated("[", many)).size() == 1);
  CHECK(parse_a1111_schedule(repeated("[a:", many) + repeated(":3]", many), {.steps = 10}).size() == 2);
  CHECK(parse_a1111_schedule(repeated("[a|", many) + repeated("]", many), {.steps = 2}).size() == 2);
  CHECK(take_extra_networks(repeated("<lora:", many)).networks.empty());
  CHECK(parse_a1111_and(repeated("a AND ", many)).size() == many + 1);
  expect_error<ArgumentError>([&] { (void)parse_comfyui_weights(open + "a" + close); },
                              {"nested deeper than 500"});
  expect_error<ArgumentError>([&] { (void)parse_compel(open + "a" + close); }, {"nested deeper than 100"});
  CHECK(parse_compel(repeated("(", 90) + "a" + repeated(")", 90)).parts.size() == 1);
  CHECK(parse_compel(repeated("\"", many)).parts.size() == 1);
}

TEST_CASE("edited prompts change one step behind their number", "[prompts]") {
  const auto schedule = parse_a1111_schedule("[a:b:0.5] c", {.steps = 10});
  REQUIRE(schedule.size() == 2);
  CHECK(schedule[scheduled_at(schedule, 5)].prompt == "a c");
  CHECK(schedule[scheduled_at(schedule, 6)].prompt == "b c");
  // A bar outside of brackets is not in the grammar: all of it is text.
  CHECK(parse_a1111_schedule("a | [b:c:3]", {.steps = 10}).at(0).prompt == "a | [b:c:3]");
}

TEST_CASE("windows break at commas, at BREAK and before vectors that do not fit", "[prompts]") {
  const auto words = letters();
  const auto at_comma = a1111_windows(parse_a1111_attention("abcde,fghi"), words);
  REQUIRE(at_comma.size() == 2);
  CHECK(at_comma[0].ids == std::vector<std::int32_t>{1, 'a', 'b', 'c', 'd', 'e', ',', 2, 3, 3});
  CHECK(at_comma[0].padding == 2);
  CHECK(a1111_windows(parse_a1111_attention("abcde,fghi"), words, 0)[0].ids[8] == 'g');
  CHECK(a1111_windows(parse_a1111_attention("a BREAK BREAK b"), words).size() == 3);

  const std::vector<NamedVectors> named{{"xy", 3}, {"xyz", 2}};
  const auto inserted = a1111_windows(parse_a1111_attention("abcdef(xy:1.5)xyz"), words, 20, named);
  REQUIRE(inserted.size() == 2);
  const std::vector<InsertedVector> expected{{1, 0, 0}, {2, 0, 1}, {3, 0, 2}, {4, 1, 0}, {5, 1, 1}};
  CHECK(inserted[1].vectors == expected);
  CHECK(inserted[1].weights[3] == 1.5);
  expect_error<ArgumentError>(
      [&] {
        (void)a1111_windows({{"a", 1.0}}, words, 20, {{"big", 9}});
      },
      {"\"big\" has 9 vectors, more than the 8 tokens"});

  auto narrow = words;
  narrow.length = static_cast<Index>(narrow.start.size()) + 1;
  const std::initializer_list<std::string_view> no_room{"no room for words"};
  expect_error<ArgumentError>([&] { (void)a1111_windows({{"a", 1.0}}, narrow); }, no_room);
  expect_error<ArgumentError>([&] { (void)comfyui_windows({{"a", 1.0}}, narrow, {}, nullptr); }, no_room);
  expect_error<ArgumentError>([&] { (void)compel_windows({{"a"}}, narrow, false, LongText::words, {}); },
                              no_room);

  std::vector<std::string> unknown;
  const auto comfy = comfyui_windows(parse_comfyui_weights("abcdef (ghi:2) embedding:xy, embedding:no"),
                                     words, named, &unknown);
  REQUIRE(comfy.size() == 2);
  CHECK(comfy[0].padding == 2);  // the short part is not cut
  CHECK(comfy[1].vectors.size() == 3);
  CHECK(unknown == std::vector<std::string>{"no"});
}

TEST_CASE("names of several vectors become several words, as diffusers has it", "[prompts]") {
  const std::vector<NamedVectors> named{{"<t>", 1}, {"toy", 3}};
  CHECK(diffusers_prompt("a toys <t> Toy", named) == "a toy toy_1 toy_2s <t> Toy");
  const auto window = diffusers_window("a toy<t>", letters(), named);
  CHECK(window.ids == std::vector<std::int32_t>{1, 'a', 129, 130, 131, 128, 2, 3, 3, 3});
  CHECK(window.vectors.size() == 4);
}
