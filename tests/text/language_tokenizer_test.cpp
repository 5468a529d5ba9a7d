#include "daguerre/text/language_tokenizer.hpp"

#include <ctime>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/core/error.hpp"
#include "daguerre/text/streaming_decoder.hpp"
#include "pipeline/gguf_tokenizer.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/gguf_bytes.hpp"
#include "support/golden.hpp"
#include "support/sentencepiece_file.hpp"
#include "text/split_pattern.hpp"
#include "text/word_splits.hpp"

/// Tokenizers of language models beyond their recorded cases, which the conformance runner holds them to.
using namespace daguerre;
using nlohmann::json;
using test::expect_error;
namespace fs = std::filesystem;

namespace {

using Ids = std::vector<std::int32_t>;
constexpr text::EncodeOptions plain{.add_special_tokens = false};

/// The pieces that a pattern cuts a text into, what it does not match in brackets.
std::vector<std::string> split(std::string_view pattern, std::string_view text) {
  const text::SplitPattern compiled(pattern, "test");
  const auto characters = text::decode_utf8(text);
  text::SplitPattern::Matcher matcher(compiled);
  matcher.begin(characters);
  const auto part = [&](std::size_t begin, std::size_t end) {
    return text::to_utf8(std::span<const text::Char>(characters).subspan(begin, end - begin));
  };
  std::vector<std::string> result;
  std::size_t at = 0;
  while (const auto match = matcher.find(at)) {
    if (match->begin > at) result.push_back('[' + part(at, match->begin) + ']');
    result.push_back(part(match->begin, match->end));
    at = match->end;
  }
  if (at < characters.size()) result.push_back('[' + part(at, characters.size()) + ']');
  return result;
}

/// A vocabulary of a few letters and merges as a tokenizer.json.
json small_tokenizer() {
  json added = json::array();
  const auto add = [&](const char* content, int id, bool special) {
    added.push_back({{"id", id},
                     {"content", content},
                     {"special", special},
                     {"normalized", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"single_word", false}});
  };
  add("<s>", 9, true);
  add("<x>", 10, false);
  add("<x>x", 11, false);
  return {{"added_tokens", added},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model",
           {{"type", "BPE"},
            {"vocab", {{"a", 0}, {"b", 1}, {"x", 2}, {"\u0120", 3}, {"ab", 4}, {"abab", 5}, {"\u0120a", 6}}},
            {"merges", {"a b", "ab ab", "\u0120 a"}}}}};
}

std::shared_ptr<const text::LanguageTokenizer> load(const json& tokenizer, const json& config = json()) {
  const test::TempFolder folder;
  folder.write("tokenizer.json", tokenizer.dump());
  if (!config.is_null()) folder.write("tokenizer_config.json", config.dump());
  return text::load_language_tokenizer(folder.path());
}

/// Of the processor's time, so that what else runs does not count.
double seconds_of(const std::function<void()>& run) {
  const auto begin = std::clock();
  run();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

std::string repeated(std::string_view text, std::size_t bytes) {
  std::string result;
  while (result.size() < bytes) result += text;
  return result;
}

}  // namespace

TEST_CASE("patterns of tokenizers cut as regular expressions do", "[text][language]") {
  using Parts = std::vector<std::string>;
  CHECK(split("a|ab", "ab") == Parts{"a", "[b]"});
  CHECK(split("a+?b|a", "aab a") == Parts{"aab", "[ ]", "a"});
  CHECK(split("a++a|a+", "aaa") == Parts{"aaa"});
  CHECK(split("(?i:'s|ll)x?", "'Sx LL '\xC5\xBF") == Parts{"'Sx", "[ ]", "LL", "[ ]", "'\xC5\xBF"});
  CHECK(split("\\s+(?!\\S)|\\s+", "  a ") == Parts{" ", " ", "[a]", " "});
  CHECK(split("\\s+$", "a  \n b ") == Parts{"[a]", "  ", "[\n b]", " "});
  CHECK(split("[^\\s[a-c]\\]]+", "xa]y-") == Parts{"x", "[a]]", "y-"});
  CHECK(split("\\p{N}{1,3}", "12345") == Parts{"123", "45"});
  CHECK(split("\\p{Lu}\\p{Ll}*|\\P{L}", "\xC3\x89t\xC3\xA9 1") == Parts{"\xC3\x89t\xC3\xA9", " ", "1"});
  CHECK(split("\\x{732B}|\\u3000", "\xE7\x8C\xAB\xE3\x80\x80") == Parts{"\xE7\x8C\xAB", "\xE3\x80\x80"});
  CHECK(split("a{,2}b|a{2,}|{", "aabaaa{") == Parts{"aab", "aaa", "{"});
  CHECK(split("(?:ab|c)?d", "abd cd d") == Parts{"abd", "[ ]", "cd", "[ ]", "d"});
  // The words of o200k: a capital begins one.
  CHECK(split(text::find_word_split("gpt-4o")->patterns[0], "helloWorld HTTPServer's 1234") ==
        Parts{"hello", "World", " HTTPServer's", " ", "123", "4"});
  CHECK(split(text::find_word_split("tekken")->patterns[0], "It's 12") == Parts{"It", "'s", " ", "1", "2"});
}

TEST_CASE("patterns that are not supported are named", "[text][language]") {
  for (const auto* pattern : {"(?<=a)b", "(ab)+", "\\p{Han}", "[a&&b]", "a**", "(a", "a)", "[a", "\\", "\\b",
                              "a{3,1}", "a{1,2000}", "[z-a]", "(?P<n>a)", "*", "\\p{L", "\\x{110000}"}) {
    INFO(pattern);
    expect_error<ConfigError>([&] { text::SplitPattern(pattern, "source"); }, {"source", "pattern"});
  }
  expect_error<ConfigError>([] { text::SplitPattern(std::string(5000, 'a'), "source"); }, {"5000"});
  expect_error<ConfigError>([] { text::SplitPattern(std::string(40, '('), "source"); }, {"deeper"});
  // Each of forty choices doubles the ways to fail.
  std::string choices;
  for (int i = 0; i < 40; ++i) choices += "(?:a|aa)";
  expect_error<ConfigError>([&] { split(choices + "b", std::string(100, 'a')); }, {"too long"});
}

TEST_CASE("texts take time in proportion to their length", "[text][language]") {
  constexpr std::size_t size = 100'000;
  constexpr double limit = 10.0;  // some tenths of a second; growing with the square, minutes
  const auto run = [&](const std::string& folder, std::string_view unit) {
    const auto tokenizer = text::load_language_tokenizer(test::golden("text/" + folder));
    const auto text = repeated(unit, size);
    INFO(folder << ", " << unit);
    CHECK(seconds_of([&] {
            const auto ids = tokenizer->encode(text, plain);
            CHECK(tokenizer->decode(ids) == text);
          }) < limit);
  };
  for (const auto* folder : {"bpe_llama3", "spbpe_gemma"})
    for (const auto* unit : {"a", " ", "the", "\n \n"}) run(folder, unit);
  auto blanks = repeated(" ", size);
  blanks += 'a';
  CHECK(seconds_of([&] { split("\\s+$|\\s+x", blanks); }) < limit);
  CHECK(seconds_of([&] { split("[ab]*[bc]+d|a", repeated("ab", size)); }) < limit);
}

TEST_CASE("added tokens are cut out by their flags", "[text][language]") {
  auto files = small_tokenizer();
  CHECK(load(files)->encode("ab<x>xab<s><x>a") == Ids{4, 11, 4, 9, 10, 0});
  // What a user typed has no special tokens; the others are there.
  CHECK(load(files)->encode("<x>a<s>", {.parse_special_tokens = false}) == Ids{10, 0});
  auto& token = files["added_tokens"][1];
  token["lstrip"] = token["rstrip"] = true;
  CHECK(load(files)->encode("a \n<x>\t a") == Ids{0, 10, 0});
  token["lstrip"] = token["rstrip"] = false;
  token["single_word"] = true;
  CHECK(load(files)->encode("a<x> <x> <x>b") == Ids{0, 2, 3, 10, 3, 2, 1});
  token["single_word"] = false;
  // Normalised ones are found in the text after it was.
  token["normalized"] = true;
  token["content"] = "<a>";
  files["normalizer"] = {{"type", "Lowercase"}};
  CHECK(load(files)->encode("AB<A>") == Ids{4, 10});
}

TEST_CASE("a post-processor puts tokens around a text", "[text][language]") {
  auto files = small_tokenizer();
  files["post_processor"] = {{"type", "TemplateProcessing"},
                             {"single",
                              {{{"SpecialToken", {{"id", "<s>"}}}},
                               {{"Sequence", {{"id", "A"}}}},
                               {{"SpecialToken", {{"id", "<x>"}}}}}},
                             {"special_tokens", {{"<s>", {{"ids", {9}}}}, {"<x>", {{"ids", {10, 10}}}}}}};
  const auto tokenizer = load(files);
  CHECK(tokenizer->encode("ab") == Ids{9, 4, 10, 10});
  CHECK(tokenizer->encode("ab", plain) == Ids{4});
  CHECK(tokenizer->decode(Ids{9, 4, 10, 77, -3}, true) == "ab<x>");
  // A class that puts begin and end itself does so whatever the file says.
  const auto llama = load(files, {{"tokenizer_class", "LlamaTokenizerFast"},
                                  {"bos_token", "<s>"},
                                  {"eos_token", {{"content", "<x>"}}},
                                  {"add_eos_token", true}});
  CHECK(llama->encode("ab") == Ids{9, 4, 10});
  CHECK(llama->special_tokens().bos == 9);
  CHECK(llama->special_tokens().ends == Ids{10});
  CHECK(llama->is_special(10));
}

TEST_CASE("what lies beside a vocabulary is read", "[text][language]") {
  const test::TempFolder folder;
  folder.write("tokenizer.json", small_tokenizer().dump());
  folder.write(
      "tokenizer_config.json",
      json{{"eos_token", "<s>"},
           {"chat_template",
            {{{"name", "default"}, {"template", "one"}}, {{"name", "tool_use"}, {"template", "two"}}}}}
          .dump());
  folder.write("generation_config.json", json{{"eos_token_id", {10, 9}}}.dump());
  auto tokenizer = text::load_language_tokenizer(folder.path());
  CHECK(tokenizer->special_tokens().ends == Ids{9, 10});
  CHECK(tokenizer->chat_template() == "one");
  CHECK(tokenizer->chat_template("tool_use") == "two");
  CHECK_FALSE(tokenizer->chat_template("rag"));
  CHECK(tokenizer->id_of("<x>x") == 11);
  CHECK(tokenizer->token_of(6) == "\u0120a");
  CHECK(tokenizer->vocabulary_size() == 12);
  folder.write("chat_template.jinja", "three");
  CHECK(text::load_language_tokenizer(folder.path())->chat_template() == "three");
  const test::TempFolder empty;
  CHECK_FALSE(text::has_language_tokenizer(empty.path()));
  expect_error<FileError>([&] { text::load_language_tokenizer(empty.path()); }, {"tokenizer.model"});
}

TEST_CASE("malformed tokenizers of language models are refused", "[text][language]") {
  const auto refuses = [](const std::function<void(json&)>& change,
                          std::initializer_list<std::string_view> parts) {
    auto files = small_tokenizer();
    change(files);
    expect_error<Error>([&] { load(files); }, parts);
  };
  refuses([](json& t) { t["normalizer"] = {{"type", "Wild"}}; }, {"normalizer", "Wild", "not supported"});
  refuses([](json& t) { t["pre_tokenizer"] = {{"type", "Wild"}}; }, {"pre_tokenizer", "Wild"});
  refuses([](json& t) { t["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"Regex", "(a"}}}}; }, {"(a"});
  refuses([](json& t) { t["decoder"] = {{"type", "Wild"}}; }, {"decoder", "Wild"});
  refuses([](json& t) { t["post_processor"] = {{"type", "Wild"}}; }, {"post_processor", "Wild"});
  refuses([](json& t) { t["post_processor"] = 7; }, {"post_processor", "\"type\""});
  refuses([](json& t) { t["model"]["type"] = "WordPiece"; }, {"WordPiece", "BPE"});
  refuses([](json& t) { t["model"]["dropout"] = 0.1; }, {"dropout", "0.1"});
  refuses([](json& t) { t["model"]["unk_token"] = "?"; }, {"unk_token"});
  refuses([](json& t) { t["model"]["vocab"]["b"] = 0; }, {"same id 0"});
  refuses([](json& t) { t["model"]["vocab"]["b"] = 2000000000; }, {"2000000000"});
  refuses([](json& t) { t["model"]["merges"].push_back("a x"); }, {"merge 4", "\"ax\""});
  refuses([](json& t) { t["added_tokens"][0]["id"] = 0; }, {"\"<s>\"", "0"});
  refuses([](json& t) { t["added_tokens"][0]["content"] = std::string(300, 'a'); }, {"300 bytes"});
  json deep = json::array();
  for (int i = 0; i < 70000; ++i) deep.push_back(1);
  refuses([&](json& t) { t["padding"] = deep; }, {"65536 values"});
}

TEST_CASE("damaged tokenizers load or are refused", "[text][language]") {
  const test::TempFolder folder;
  std::mt19937 random(7);
  int refused = 0;
  for (const auto* name :
       {"bpe_qwen3/tokenizer.json", "spbpe_gemma/tokenizer.json", "spbpe_llama2/tokenizer.model"}) {
    const fs::path path = test::golden("text") / name;
    const auto whole = test::read_file(path);
    for (int round = 0; round < 30; ++round) {
      auto bytes = whole;
      const auto at = random() % bytes.size();
      if (round % 3 == 0) bytes.resize(at);
      if (round % 3 == 1) bytes[at] = static_cast<char>(random());
      if (round % 3 == 2) bytes.erase(at, random() % 64);
      folder.write(path.filename().string(), bytes);
      try {
        const auto tokenizer = text::load_language_tokenizer(folder.path());
        const auto ids = tokenizer->encode("a cat <bos>\n\n 12 \xC3\xA9\xF0\x9F\x98\x80\xFF");
        for (const auto id : ids) CHECK((id >= 0 && id < tokenizer->vocabulary_size()));
        CHECK_FALSE(tokenizer->decode(ids).empty());
      } catch (const Error& error) {
        ++refused;
        CHECK(std::string_view(error.what()).size() < 2000);
      }
    }
    fs::remove(folder.path() / path.filename());
  }
  CHECK(refused >= 30);
}

TEST_CASE("text is given out as it can be printed", "[text][language]") {
  const auto tokenizer = text::load_language_tokenizer(test::golden("text/spbpe_llama2"));
  const auto byte = [&](const char* piece) { return tokenizer->id_of(piece).value(); };
  text::StreamingDecoder stream(tokenizer);
  // A character in bytes is complete at its last one.
  CHECK(stream.push(byte("<0xF0>")) == "");
  CHECK(stream.push(byte("<0x9F>")) == "");
  CHECK(stream.push(byte("<0x98>")) == "");
  CHECK(stream.push(byte("<0x80>")) == "\xF0\x9F\x98\x80");
  CHECK(stream.push(byte("<0xF0>")) == "");
  CHECK(stream.finish() != "");
  // What follows is a text of its own, whose first space is the tokenizer's.
  CHECK(stream.push(byte("\u2581a")) == "a");
  CHECK(stream.push(byte("\u2581a")) == " a");
  CHECK(stream.finish() == "");
}

TEST_CASE("sentencepiece's pieces are joined by score", "[text][language]") {
  test::SentencePieceFile file;
  file.model_type = 2;
  using Type = test::SentencePieceFile::Type;
  file.add("<unk>", 0, Type::unknown);
  file.add("<s>", 0, Type::control);
  file.add("</s>", 0, Type::control);
  for (const auto* piece : {"\u2581", "a", "b", "c"}) file.add(piece, -100);
  file.add("ab", -2);                     // 7
  file.add("bc", -1);                     // 8
  file.add("abc", -3);                    // 9
  file.add("ca", -1.5f, Type::unused);    // 10
  file.add("bb", 0, Type::user_defined);  // 11
  const test::TempFolder folder;
  folder.write("tokenizer.model", file.bytes());
  const auto tokenizer = text::load_language_tokenizer(folder.path());
  CHECK(tokenizer->encode("abc", plain) == Ids{3, 9});
  CHECK(tokenizer->encode("abc") == Ids{1, 3, 9});
  // A piece that is not to be used falls apart again, a user-defined one is not joined; what is unknown is
  // one.
  CHECK(tokenizer->encode("ca", plain) == Ids{3, 6, 4});
  CHECK(tokenizer->encode("abbc", plain) == Ids{3, 4, 11, 6});
  CHECK(tokenizer->encode("a??b", plain) == Ids{3, 4, 0, 5});
  CHECK(tokenizer->encode("a</s>a", plain) == Ids{3, 4, 2, 3, 4});
  CHECK(tokenizer->decode(Ids{1, 3, 4, 0, 2}, true) == "a \xE2\x81\x87 ");
  file.model_type = 1;
  folder.write("tokenizer.model", file.bytes());
  expect_error<ConfigError>([&] { text::load_language_tokenizer(folder.path()); }, {"type 1", "2"});
}

TEST_CASE("a GGUF file's metadata are a language model's tokenizer", "[text][language]") {
  using test::bytes_of_number;
  constexpr std::uint32_t u32 = 4, i32 = 5, flag = 7, string = 8, array = 9;
  const auto text_bytes = [](std::string_view text) {
    return bytes_of_number<std::uint64_t>(text.size()) + std::string(text);
  };
  const auto texts = [&](const std::vector<std::string>& items) {
    std::string result = bytes_of_number(string) + bytes_of_number<std::uint64_t>(items.size());
    for (const auto& item : items) result += text_bytes(item);
    return result;
  };
  const auto open = [&](const std::string& split, std::uint32_t end) {
    std::string kinds = bytes_of_number(i32) + bytes_of_number<std::uint64_t>(5);
    for (const std::int32_t kind : {1, 1, 1, 3, 4}) kinds += bytes_of_number(kind);
    test::GgufText file(0, 9);
    file.value("tokenizer.ggml.model", string, text_bytes("gpt2"));
    file.value("tokenizer.ggml.pre", string, text_bytes(split));
    file.value("tokenizer.ggml.tokens", array, texts({"a", "b", "ab", "<|end|>", "<think>"}));
    file.value("tokenizer.ggml.merges", array, texts({"a b"}));
    file.value("tokenizer.ggml.token_type", array, kinds);
    file.value("tokenizer.ggml.eos_token_id", u32, bytes_of_number(end));
    file.value("tokenizer.ggml.bos_token_id", u32, bytes_of_number<std::uint32_t>(3));
    file.value("tokenizer.ggml.add_bos_token", flag, std::string(1, '\1'));
    file.value("tokenizer.chat_template", string, text_bytes("{{ x }}"));
    return gguf_language_tokenizer(weights::GgufFile::from_memory(test::as_buffer(file.with("")), "m.gguf"));
  };
  const auto tokenizer = open("qwen2", 3);
  CHECK(tokenizer->encode("ab<think>b<|end|>") == Ids{3, 2, 4, 1, 3});
  CHECK(tokenizer->decode(Ids{2, 4, 3}, true) == "ab<think>");
  CHECK(tokenizer->special_tokens().ends == Ids{3});
  CHECK(tokenizer->chat_template() == "{{ x }}");
  expect_error<ConfigError>([&] { open("never-heard-of", 3); }, {"m.gguf", "never-heard-of"});
  expect_error<FormatError>([&] { open("qwen2", 5); }, {"m.gguf", "token 5", "of 5"});
}
