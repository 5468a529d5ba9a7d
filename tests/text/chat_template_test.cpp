#include "daguerre/text/chat_template.hpp"

#include <cstdint>
#include <ctime>
#include <limits>
#include <string>
#include <vector>

#include "conformance/case.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/models/language/token_sampler.hpp"
#include "support/catch.hpp"

using namespace daguerre;
using text::ChatTemplate;

namespace {

std::string rendered(const std::string& source, const std::string& variables = "{}") {
  return ChatTemplate(source).render_json(
      R"([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}])",
      {.add_generation_prompt = true, .variables = variables, .now = {}});
}

std::string repeated(const std::string& text, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += text;
  return result;
}

}  // namespace

TEST_CASE("recorded conversations and sampled texts agree with the reference", "[golden][language]") {
  for (const auto* area : {"text/chat_templates", "lm/sampling"})
    for (const auto& result : conformance::run_below(test::golden(area), {.engine = "native"})) {
      CHECK(result.unsupported.value_or("") == "");
      CHECK_FALSE(result.checks.empty());
      for (const auto& check : result.checks) {
        INFO(check.name);
        CHECK(check.passes());
      }
    }
}

TEST_CASE("templates compute as jinja2 does", "[chat_template]") {
  CHECK(rendered("{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2**10 }} {{ 1/2 }} {{ 1e20 }}") ==
        "3 -4 2 1024 0.5 1e+20");
  CHECK(rendered("{{ '\u00E9'|upper }}{{ 'abc'[::-1] }}{{ [1, 'a', none, true] }}{{ {'a': 1}|tojson }}") ==
        "\u00C9cba[1, 'a', None, True]{\"a\": 1}");
  CHECK(
      rendered(
          "{% for m in messages %}{{ loop.index0 }}{{ m.role[0] }}{{ ',' if not loop.last }}{% endfor %}") ==
      "0u,1a");
  CHECK(rendered("{% set ns = namespace(n=0) %}{% for x in [1, 2, 3] if x != 2 %}{% set ns.n = ns.n + x %}{% "
                 "endfor %}{{ ns.n }}") == "4");
  CHECK(rendered("{{ messages|map(attribute='content')|join('+') }} {{ messages|selectattr('role', "
                 "'equalto', 'user')|list|length }}") == "hi+yes 1");
  CHECK(rendered("{% macro m(a, b='q') -%} [{{ a }}{{ b }}] {%- endmacro %}{{ m(1) }}{{ m(2, b=3) }}") ==
        "[1q][23]");
  CHECK(rendered("a\n  {% if true %}\nb\n  {%- endif %}\n c{# x #}\n") == "a\nb c");
  CHECK(rendered("{{ ' a b '.strip().split(' ')[-1] }}{{ 'x' ~ 1 }}{{ x is defined }}{{ 'a' in 'cat' and 1 "
                 "not in [2] }}") == "bx1FalseTrue");
  CHECK(rendered("{{ n }}{{ s }}", R"({"n": 3, "s": "\u00e9"})") == "3\u00E9");
  ChatTemplate::Options dated;
  dated.now = std::tm{};
  dated.now->tm_mday = 26;
  dated.now->tm_mon = 6;
  dated.now->tm_year = 124;
  CHECK(ChatTemplate("{{ strftime_now('%d %b %Y') }}").render({}, dated) == "26 Jul 2024");
}

TEST_CASE("no template hangs or takes all memory, and each error has its line", "[chat_template]") {
  const std::vector<std::string> hostile = {
      "{% for i in range(1000000000) %}x{% endfor %}",
      "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
      "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
      "{% set ns = namespace(x=[]) %}{% for i in range(99) %}{% set ns.x = [ns.x] %}{% endfor %}",
      "{% set ns = namespace(x=1) %}{% set ns.y = ns %}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{{ 'a' * 10000000000 }}",
      "{{ 9223372036854775807 + 1 }}",
      "{{ 1 % 0 }}",
      "{{ " + repeated("(", 9999) + "1" + repeated(")", 9999) + " }}",
      "{{ " + repeated("1 + ", 9999) + "1 }}",
      "{{ " + repeated("not ", 9999) + "1 }}",
      "{{ x" + repeated(".a", 9999) + " }}",
      repeated("{% if 1 %}", 9999),
      "{{ nothing.at.all }}",
      "{{ 'open }}",
      "{% set s = 'x' * 3000000 %}{% for i in range(200000) %}{{ '' if s == s }}{% endfor %}",
      "{% set s = 'x' * 3000000 %}{% for i in range(200000) %}{{ '' if s|length }}{% endfor %}",
      "{{ ('x' * 3000000).startswith(['x' * 2999999 ~ 'y'] * 300000) }}",
      "{% raw %}" + repeated("{%", 500000),
      "{% for i in [1] %}{{ loop.changed(loop) }}{% endfor %}",
      [] {
        std::string names;
        for (int i = 0; i < 30000; ++i) names += "{% set n" + std::to_string(i) + "=1 %}";
        return names + "{% for i in range(300000) %}{{ n }}{% endfor %}";
      }(),
      "{% include 'x' %}"};
  for (const auto& source : hostile) {
    INFO(source.substr(0, 80));
    CHECK_THROWS_AS(rendered(source), FormatError);
  }
  CHECK_THROWS_WITH(rendered("a\n{{ b.c }}"), "[chat_template] chat template: line 2: 'b' is undefined");
  CHECK_THROWS_AS(rendered("{{ raise_exception('no') }}"), ArgumentError);
  CHECK_THROWS_AS(ChatTemplate("").render_json("{}"), FormatError);
}

TEST_CASE("tokens are chosen within the options' ranges", "[token_sampler]") {
  using models::TokenSampler;
  std::vector<float> logits = {1.0f, 3.0f, 3.0f, -1.0f};
  CHECK(TokenSampler({.greedy = true}).next(logits, {}, 0.0) == 1);
  logits = {1.0f, 3.0f, 3.0f, -1.0f};
  CHECK(TokenSampler({.top_k = 1}).next(logits, {}, 0.999) == 2);  // both of the largest stay
  CHECK(logits[0] == -std::numeric_limits<float>::infinity());
  logits = {1.0f, 3.0f, 3.0f, -1.0f};
  CHECK(TokenSampler({.temperature = 1e-30}).next(logits, {}, 0.999) == 2);
  const std::vector<std::int32_t> far = {7};
  CHECK_THROWS_AS(TokenSampler({}).next(logits, far, 0.0), ArgumentError);
  std::vector<float> bad = {1.0f, std::numeric_limits<float>::quiet_NaN()};
  CHECK_THROWS_AS(TokenSampler({}).next(bad, {}, 0.0), NumericError);
  std::vector<float> one = {1.0f};
  CHECK_THROWS_AS(TokenSampler({.bad_words = {{0}}}).next(one, {}, 0.0), ArgumentError);
  CHECK_THROWS_AS(TokenSampler({.temperature = 0.0}), ArgumentError);
  CHECK_THROWS_AS(TokenSampler({.top_p = 1.5}), ArgumentError);
}
