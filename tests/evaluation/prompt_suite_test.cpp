#include "daguerre/evaluation/prompt_suite.hpp"

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "daguerre/core/error.hpp"
#include "daguerre/evaluation/votes.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

namespace daguerre::evaluation {
namespace {

using Texts = std::vector<std::string>;

std::string suite_refusal(const std::string& text, const std::string& name, SuiteOptions options = {}) {
  try {
    (void)PromptSuite::parse(text, name, options);
  } catch (const Error& error) {
    return error.message();
  }
  return {};
}

std::string votes_refusal(const std::string& text, const std::string& name, const BlindKey* key = nullptr) {
  try {
    (void)parse_votes(text, name, key);
  } catch (const Error& error) {
    return error.message();
  }
  return {};
}

TEST_CASE("Suites of prompts are read in the published forms", "[suite]") {
  // DrawBench: RFC 4180, with a byte order mark and CRLF.
  const auto draw = PromptSuite::parse(
      "\xEF\xBB\xBFPrompts,Category\r\nA red car,Colors\r\n\"A sign that says \"\"Hello, you\"\"\",Text\r\n"
      "\"two\r\nlines\",Colors\r\n\r\nlast,Text",
      "DrawBench.csv");
  CHECK(draw.texts() == Texts{"A red car", "A sign that says \"Hello, you\"", "two\r\nlines", "last"});
  CHECK(draw.categories() == Texts{"Colors", "Text"});

  // PartiPrompts: quotes stand for themselves, also where a field begins with one, as its line 1562 does.
  const std::string parti =
      "Prompt\tCategory\tChallenge\tNote\nbond\tAbstract\tBasic\tconcepts\n"
      "\"G I G G L E\" painted\tIllustrations\tWriting & Symbols\t\n";
  CHECK(PromptSuite::parse(parti, "PartiPrompts.tsv").texts() == Texts{"bond", "\"G I G G L E\" painted"});
  SuiteOptions challenge;
  challenge.category = "challenge";
  CHECK(PromptSuite::parse(parti, "x.tsv", challenge).categories() == Texts{"Basic", "Writing & Symbols"});

  const auto styles = PromptSuite::parse(R"({"photo": ["c"], "anime": ["a", "b"]})", "all.json");
  CHECK(styles.texts() == Texts{"a", "b", "c"});
  CHECK(styles.categories() == Texts{"anime", "photo"});
  CHECK(PromptSuite::parse(R"(["a", "b"])", "x/paintings.json").categories() == Texts{"paintings"});

  const auto lines = PromptSuite::parse("a\n\n  \nb, c\rd", "names.txt");
  CHECK(lines.texts() == Texts{"a", "b, c", "d"});
  CHECK(lines.categories().empty());

  const auto objects = PromptSuite::parse(
      "{\"prompt\": \"a bench\", \"tag\": \"single_object\", \"include\": []}\n\"plain\"\n\n{\"prompt\": "
      "\"\"}\n",
      "geneval.jsonl");
  CHECK(objects.texts() == Texts{"a bench", "plain", ""});
  CHECK(objects.prompts[0].category == "single_object");
}

TEST_CASE("HPSv2's folder needs its four styles", "[suite]") {
  const test::TempFolder folder;
  for (const char* style : {"photo", "paintings", "concept-art"})
    std::ofstream(folder / (std::string(style) + ".json")) << "[\"of " << style << "\"]";
  CHECK_THROWS_AS(PromptSuite::load(folder.path()), FileError);
  std::ofstream(folder / "anime.json") << "[\"of anime\"]";
  const auto suite = PromptSuite::load(folder.path());
  CHECK(suite.categories() == Texts{"anime", "concept-art", "paintings", "photo"});
  SuiteOptions csv;
  csv.format = SuiteFormat::csv;
  CHECK_THROWS_AS(PromptSuite::load(folder.path(), csv), ArgumentError);
  CHECK_THROWS_AS(PromptSuite::load(folder / "not there.csv"), FileError);
}

TEST_CASE("Malformed suites are refused with the line", "[suite]") {
  const auto refused = [](const std::string& text, const std::string& name, const std::string& why) {
    INFO(name << ": " << text);
    CHECK(suite_refusal(text, name).find(why) != std::string::npos);
  };
  refused("", "a.csv", "a.csv: is empty");
  refused("Prompts,Category\n", "a.csv", "holds no prompts");
  refused("Text,Category\na,b\n", "a.csv",
          "no column is called \"Prompt\" or \"Prompts\"; there are \"Text\"");
  refused("Prompts,Category\na,b\nc\n", "a.csv", "line 3: 1 fields, expected 2");
  refused("Prompts,Category\na,b\n\"c,d\n", "a.csv", "line 3: a quote is opened and never closed");
  refused("Prompts,Category\n\"a\nb\"\"\",x\n\"c\"d,e\n", "a.csv", "line 4: a closing quote");
  refused("Prompts,Category\n ,b\n", "a.csv", "line 2: the prompt is empty");
  refused("Prompt,prompt\na,b\n", "a.csv", "two columns are called");
  refused("Prompts\na\nb\xFF\n", "a.csv", "line 3: is not UTF-8");
  refused(std::string("a\r\nb\0c", 6), "a.txt", "line 2: holds a zero byte");
  refused("\n \n", "a.txt", "holds no prompts");
  refused("{\"prompt\": \"a\"}\n{\"text\": \"b\"}\n", "a.jsonl", "line 2: expected a text, or an object");
  refused("{\"prompt\": 3}\n", "a.jsonl", "line 1: \"prompt\" is no text");
  refused("{\"prompt\": \"a\"\n", "a.jsonl", "line 1");
  refused("{\"photo\": [\"a\", 2]}", "a.json", "entry 2: is no text");
  refused("3", "a.json", "is no list of texts");
  refused(std::string(70000, 'x'), "a.txt", "line 1: a prompt of 70000 bytes");
  refused(std::string(9 << 20, '['), "a.json", "bytes of JSON");
  refused("Prompts" + std::string(2000, ',') + "\n", "a.csv", "more than 1000 fields");
  SuiteOptions other;
  other.category = "Mood";
  CHECK(suite_refusal("Prompts,Category\na,b\n", "a.csv", other).find("no column is called \"Mood\"") !=
        std::string::npos);
  CHECK(suite_refusal("a\n", "a.txt", other).find("has no columns") != std::string::npos);
  CHECK(suite_refusal("{\"prompt\": \"a\"}\n", "a.jsonl", other).find("no line has \"Mood\"") !=
        std::string::npos);
  CHECK_THROWS_AS(suite_format_called("xml"), ArgumentError);
}

TEST_CASE("Votes are read, and resolved by the key of a blind set", "[votes]") {
  const std::string header = "item,rater,question,left,right,choice\n";
  const auto votes =
      parse_votes(header + "1,r1,alignment,x,y,a\n1,r2,alignment,y,x,B\n2,r1,fidelity,x,y,tie\n", "v.csv");
  REQUIRE(votes.size() == 3);
  CHECK(votes[0].choice == Choice::left);
  CHECK(votes[1].choice == Choice::right);
  CHECK(votes[2].choice == Choice::tie);
  CHECK(votes[1].left == "y");
  const auto lines = parse_votes(
      "{\"item\": 7, \"left\": \"x\", \"right\": \"y\", \"choice\": \"left\", \"time\": 3}\n", "v.jsonl");
  CHECK(lines[0].item == "7");
  CHECK(lines[0].rater.empty());

  const test::TempFolder folder;
  BlindKey key;
  key.a = "x";
  key.b = "y";
  key.a_is_left = {{"0001", true}, {"0002", false}};
  key.save(folder / "set.key.json");
  const auto loaded = BlindKey::load(folder / "set.key.json");
  CHECK(loaded.a_is_left == key.a_is_left);
  const auto blind = parse_votes("item,choice\n0001,a\n0002,a\n", "v.csv", &loaded);
  CHECK(blind[0].left == "x");
  CHECK(blind[1].left == "y");

  const auto refused = [&](const std::string& text, const std::string& name, const std::string& why,
                           const BlindKey* with = nullptr) {
    INFO(name << ": " << text);
    CHECK(votes_refusal(text, name, with).find(why) != std::string::npos);
  };
  refused(header, "v.csv", "v.csv: holds no votes");
  refused("item,left,right\n1,x,y\n", "v.csv", "no column is called \"choice\"; there are \"item\"");
  refused(header + "1,r,q,x,y,c\n", "v.csv", "line 2: the choice is \"c\", expected a, b or tie");
  refused(header + "1,r,q,x,x,a\n", "v.csv", "line 2: \"x\" is compared with itself");
  refused(header + ",r,q,x,y,a\n", "v.csv", "line 2: item is missing");
  refused(header + "1,r,q,x\n", "v.csv", "line 2: 4 fields, expected 6");
  refused("[1]\n", "v.jsonl", "line 1: expected an object");
  refused("{\"item\": \"1\", \"left\": \"x\", \"right\": [], \"choice\": \"a\"}\n", "v.jsonl",
          "line 1: right is no text");
  refused("item,choice\n0003,a\n", "v.csv", "line 2: the key has no item \"0003\"", &key);
  refused("item,left,choice\n0001,z,a\n", "v.csv", "line 2: left is \"z\", by the key it is \"x\"", &key);
  std::ofstream(folder / "bad.json") << R"({"a": "x", "b": "x", "left": {}})";
  CHECK_THROWS_AS(BlindKey::load(folder / "bad.json"), FormatError);
}

TEST_CASE("Votes become strengths and agreement, question by question", "[votes]") {
  std::vector<Vote> votes;
  // 20 items, three raters; two agree always, and the third says the opposite of every fourth item.
  for (int item = 0; item < 20; ++item)
    for (int rater = 0; rater < 3; ++rater) {
      const bool x_wins = (item % 4 != 3) != (rater == 2 && item % 4 == 0);
      const bool x_left = (item + rater) % 2 == 0;
      const auto choice = x_wins == x_left ? Choice::left : Choice::right;
      votes.push_back({std::to_string(item), "r" + std::to_string(rater), "alignment", x_left ? "x" : "y",
                       x_left ? "y" : "x", choice});
    }
  votes.push_back({"0", "r0", "fidelity", "x", "y", Choice::left});
  const auto results = evaluate_votes(votes);
  REQUIRE(results.questions.size() == 2);
  const auto& alignment = results.questions[0];
  CHECK(alignment.votes == 60);
  CHECK(alignment.items == 20);
  CHECK(alignment.raters == 3);
  CHECK(alignment.errors == "items");
  CHECK(alignment.models == Texts{"x", "y"});
  REQUIRE(alignment.strengths);
  CHECK(alignment.strengths->strengths[0] - alignment.strengths->strengths[1] ==
        Approx(std::log(40.0 / 20.0)));
  CHECK(alignment.wins[0].value == Approx(40.0 / 60));
  // Coincidences: 5 of 20 units have two ratings alike and one not.
  REQUIRE(alignment.agreement);
  CHECK(alignment.agreement->alpha.value ==
        Approx(1.0 - (5 * 4 / 2.0) / ((60.0 * 60 - 40 * 40 - 20 * 20) / 59)));
  const auto& fidelity = results.questions[1];
  CHECK(!fidelity.strengths);
  CHECK(fidelity.why_no_strengths.find("x never lost to y") == 0);
  CHECK(!fidelity.agreement);
  CHECK(fidelity.errors == "votes");

  const auto report = results.report();
  bool strength = false;
  for (const auto& figure : report.figures)
    if (figure.name == "x: strength" && figure.category == "alignment")
      strength = figure.low && *figure.low < figure.value;
  CHECK(strength);
  CHECK(report.warnings.size() == 2);

  VoteOptions only;
  only.models = {"x", "z"};
  CHECK_THROWS_AS(evaluate_votes(votes, only), ArgumentError);
  CHECK_THROWS_AS(evaluate_votes({}), ArgumentError);
  CHECK_THROWS_AS(vote_errors_called("days"), ArgumentError);
}

}  // namespace
}  // namespace daguerre::evaluation
