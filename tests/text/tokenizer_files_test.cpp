#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/core/error.hpp"
#include "daguerre/text/clip_tokenizer.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/tokenizer_case.hpp"

/// The forms that versions of transformers give a tokenizer's folder.
using namespace daguerre;
using nlohmann::json;
using test::expect_error;
using text::ClipDialect;
using text::ClipTokenizer;
namespace fs = std::filesystem;

namespace {

using Ids = std::vector<std::int32_t>;

fs::path tiny() {
  return test::golden("text/tiny_clip_tokenizer");
}

/// The small vocabulary's tokenizer.json, with merges as transformers 5 writes them.
json whole_tokenizer() {
  const auto vocabulary = json::parse(test::read_file(tiny() / "vocab.json"));
  json merges = json::array();
  std::ifstream lines(tiny() / "merges.txt");
  for (std::string line; std::getline(lines, line);)
    if (const auto space = line.find(' '); !line.starts_with("#version") && space != line.npos)
      merges.push_back(json::array({line.substr(0, space), line.substr(space + 1)}));
  json result;
  result["version"] = "1.0";
  result["truncation"] = nullptr;
  result["added_tokens"] = json::array();
  result["normalizer"] = {{"type", "Sequence"}, {"normalizers", json::array({{{"type", "NFC"}}})}};
  result["model"] = {{"type", "BPE"},
                     {"dropout", nullptr},
                     {"unk_token", "<|endoftext|>"},
                     {"continuing_subword_prefix", ""},
                     {"end_of_word_suffix", "</w>"},
                     {"fuse_unk", false},
                     {"vocab", vocabulary},
                     {"merges", merges}};
  return result;
}

json added(const std::string& content, int id, bool normalized = true) {
  return {{"id", id},        {"content", content},       {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", normalized}, {"special", false}};
}

/// A folder with tokenizer.json alone.
class WholeFolder {
 public:
  explicit WholeFolder(const std::function<void(json&)>& change = [](json&) {}) {
    json tokenizer = whole_tokenizer();
    change(tokenizer);
    write("tokenizer.json", tokenizer.dump());
  }
  void write(const std::string& name, const std::string& content) const { folder_.write(name, content); }
  ClipTokenizer load(ClipDialect dialect = ClipDialect::huggingface) const {
    return ClipTokenizer::load(folder_.path(), dialect);
  }
  const fs::path& path() const { return folder_.path(); }

 private:
  test::TempFolder folder_;
};

}  // namespace

TEST_CASE("a tokenizer.json alone gives the recorded ids", "[text][clip][golden]") {
  const bool as_pairs = GENERATE(true, false);
  const WholeFolder folder([&](json& tokenizer) {
    if (as_pairs) return;
    for (auto& merge : tokenizer["model"]["merges"])
      merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  });
  fs::copy_file(tiny() / "cases.json", folder.path() / "cases.json");
  for (const auto& field : test::run_tokenizer_case(folder.path())) {
    INFO(field.name << ": " << field.first_failure);
    CHECK(field.passed >= 70);
    CHECK(field.failed == 0);
  }
  CHECK(folder.load().source() == (folder.path() / "tokenizer.json").string());
}

TEST_CASE("the parts of a tokenizer.json may come in any order, and most are not looked at", "[text][clip]") {
  const auto usual = ClipTokenizer::load(tiny());
  const json tokenizer = whole_tokenizer();
  // "merges" before "vocab", "model" before "added_tokens", and values of every kind elsewhere.
  const std::string text =
      R"({"x": [1, -2, 3.5, null, true, {"vocab": {"a": "b"}, "merges": [1]}], "model": {"merges": )" +
      tokenizer["model"]["merges"].dump() + R"(, "other": {"vocab": 7}, "vocab": )" +
      tokenizer["model"]["vocab"].dump() + R"(, "type": "BPE"}, "added_tokens": []})";
  const test::TempFolder folder;
  folder.write("tokenizer.json", text);
  CHECK(ClipTokenizer::load(folder.path()).encode("a photo of a cat") == usual.encode("a photo of a cat"));
}

TEST_CASE("special tokens come from tokenizer_config.json where there is no other file", "[text][clip]") {
  const WholeFolder folder;
  CHECK(folder.load().pad_id() == folder.load().end_id());
  folder.write("tokenizer_config.json", R"({"backend": "tokenizers", "tokenizer_class": "TokenizersBackend",
      "bos_token": "<|startoftext|>", "eos_token": {"__type": "AddedToken", "content": "<|endoftext|>"},
      "pad_token": "!", "model_max_length": 30, "extra_special_tokens": [], "is_local": true})");
  const auto tokenizer = folder.load();
  CHECK(tokenizer.pad_id() == 0);
  CHECK(tokenizer.length() == 30);
  CHECK(tokenizer.window("a").padding == 27);
  // Classes that are CLIP's, or say nothing.
  for (const auto* fine :
       {R"("CLIPTokenizer")", R"("CLIPTokenizerFast")", R"("PreTrainedTokenizerFast")", "null"}) {
    folder.write("tokenizer_config.json", std::string(R"({"tokenizer_class": )") + fine + "}");
    CHECK(folder.load().length() == 77);
  }
}

TEST_CASE("tokens that only tokenizer.json adds", "[text][clip]") {
  const WholeFolder folder([](json& tokenizer) {
    tokenizer["model"]["vocab"].erase("<|endoftext|>");
    tokenizer["added_tokens"] =
        json::array({added("<|endoftext|>", 633, false), added("<Cat>", 634), added("<Dog>", 635, false)});
  });
  const auto tokenizer = folder.load();
  CHECK(tokenizer.vocabulary_size() == 636);
  CHECK(tokenizer.end_id() == 633);
  // Found in the normalised text, or only as it is written.
  CHECK(tokenizer.encode("<cat><CAT>") == Ids{634, 634});
  CHECK(tokenizer.encode("<Dog>") == Ids{635});
  CHECK(tokenizer.encode("<dog>").size() > 1);
  CHECK(tokenizer.decode(Ids{634, 635}) == "<Cat> <Dog>");
}

TEST_CASE("an added token stands for all of its vectors", "[text][clip]") {
  const test::TempFolder folder;
  for (const auto* file : {"vocab.json", "merges.txt"}) fs::copy_file(tiny() / file, folder.path() / file);
  folder.write("added_tokens.json",
               R"({"<cat>": 634, "<cat>_1": 635, "<cat>_2": 636, "<cat>_4": 637, "<dog>": 638})");
  const auto tokenizer = ClipTokenizer::load(folder.path());
  const auto inner = [&](const std::string& prompt) {
    const auto window = tokenizer.window(prompt);
    return Ids(window.ids.begin() + 1, window.ids.end() - window.padding - 1);
  };
  const auto a = tokenizer.encode("a");
  CHECK(inner("<cat>") == Ids{634, 635, 636});
  CHECK(inner("a <cat> <dog>") == Ids{a[0], 634, 635, 636, 638});
  CHECK(inner("<cat>_1") == Ids{635});
  // Only in a prompt; the ids of a text are the text's own.
  CHECK(tokenizer.encode("<cat>") == Ids{634});
  CHECK(tokenizer.source() == (folder.path() / "vocab.json").string() + " and added_tokens.json");
}

TEST_CASE("where a model pads with a sign, the sign is a pad", "[text][clip]") {
  const test::TempFolder folder;
  for (const auto* file : {"vocab.json", "merges.txt"}) fs::copy_file(tiny() / file, folder.path() / file);
  const auto plain = ClipTokenizer::load(folder.path());
  folder.write("special_tokens_map.json", R"({"pad_token": "!"})");
  const auto padding = ClipTokenizer::load(folder.path());
  CHECK(plain.encode("a!").back() != 0);
  CHECK(padding.encode("a!") == Ids{plain.encode("a")[0], 0});
  CHECK(padding.encode("a!!") == Ids{plain.encode("a")[0], 0, 0});
  // openai's knows no pad.
  CHECK(ClipTokenizer::load(folder.path(), ClipDialect::openai).encode("a!") == plain.encode("a!"));
}

TEST_CASE("what a tokenizer's folder lacks is told", "[text][clip]") {
  const test::TempFolder folder;
  expect_error<FileError>([&] { ClipTokenizer::load(folder.path()); },
                          {folder.path().string(), "vocab.json and merges.txt nor tokenizer.json"});
  fs::copy_file(tiny() / "vocab.json", folder.path() / "vocab.json");
  expect_error<FileError>([&] { ClipTokenizer::load(folder.path()); }, {"merges.txt"});
}

TEST_CASE("malformed tokenizer.json files are refused", "[text][clip]") {
  const auto refuses = [](const std::function<void(json&)>& change,
                          std::initializer_list<std::string_view> parts) {
    const WholeFolder folder(change);
    try {
      (void)folder.load();
      FAIL("nothing was thrown");
    } catch (const Error& error) {
      const std::string text = error.what();
      CHECK(text.find("tokenizer.json") != text.npos);
      for (const auto part : parts) {
        INFO(text << "\nmissing: " << part);
        CHECK(text.find(part) != text.npos);
      }
    }
  };
  const auto in_model = [](const char* key, json value) {
    return [=](json& tokenizer) { tokenizer["model"][key] = value; };
  };
  refuses([](json& t) { t = json::array(); }, {"expected a JSON object"});
  refuses([](json& t) { t.erase("model"); }, {"\"model\""});
  refuses(in_model("type", "Unigram"), {"\"Unigram\"", "\"BPE\""});
  refuses(in_model("end_of_word_suffix", "@@"), {"\"@@\"", "</w>"});
  refuses(in_model("continuing_subword_prefix", "##"), {"\"##\""});
  refuses(in_model("vocab", json::array({1})), {"\"vocab\" must be"});
  refuses(in_model("merges", json::object()), {"\"merges\" must be a list"});
  refuses(in_model("merges", json::array({"a"})), {"merge 1", "two pieces"});
  refuses(in_model("merges", json::array({"i n", "a b c"})), {"merge 2", "two pieces"});
  refuses(in_model("merges", json::array({json::array({"i", "n"}), json::array({"zq", "q"})})),
          {"merge 2", "\"zq\" is not in the vocabulary"});
  refuses(in_model("merges", json::array({json::array({"i"})})), {"two pieces"});
  refuses(in_model("merges", json::array({json::array({"i", "n", "g"})})), {"two pieces"});
  refuses(in_model("merges", json::array({json::array({1, 2})})), {"two pieces"});
  refuses(in_model("merges", json::array({7})), {"two pieces"});
  for (const auto& id :
       {json(-1), json(0.5), json("0"), json(), json(true), json::array(), json(4294967296)}) {
    INFO(id.dump());
    refuses([&](json& t) { t["model"]["vocab"]["a"] = id; }, {"\"a\""});
  }
  refuses([](json& t) { t["model"]["vocab"]["a"] = 5; }, {"same id 5"});
  refuses([](json& t) { t["model"]["vocab"].erase("a"); }, {});
  refuses([](json& t) { t["added_tokens"] = json::array({7}); }, {"an added token must be an object"});
  refuses(
      [](json& t) {
        t["added_tokens"] = json::array({json::object({{"id", 634}})});
      },
      {"no \"content\""});
  refuses(
      [](json& t) {
        t["added_tokens"] = json::array({json::object({{"content", "x"}})});
      },
      {"\"x\"", "none"});
  refuses([](json& t) { t["added_tokens"] = json::array({added("<x>", 700)}); }, {"700", "holes"});
  refuses([](json& t) { t["added_tokens"] = json::array({added("<x>", 5)}); }, {"same id 5"});
  refuses(
      [](json& t) {
        t["added_tokens"] = json::array({added("<x>", 634)});
        t["added_tokens"][0]["single_word"] = true;
      },
      {"\"<x>\"", "single_word"});
}
