#include "daguerre/text/clip_tokenizer.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>
#include <thread>

#include "daguerre/core/error.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/tokenizer_case.hpp"

using namespace daguerre;
using daguerre::test::expect_error;
using daguerre::test::golden;
using text::ClipDialect;
using text::ClipTokenizer;

namespace {

using Ids = std::vector<std::int32_t>;

const auto tiny_folder = [] { return golden("text/tiny_clip_tokenizer"); };

/// A folder of its own below the system's temporary one, removed at the end.
class TempFolder {
 public:
  TempFolder()
      : path_(std::filesystem::temp_directory_path() /
              ("daguerre-text-" + std::to_string(std::random_device{}()))) {
    std::filesystem::create_directories(path_);
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
  }

 private:
  std::filesystem::path path_;
};

const std::string small_vocabulary =
    R"({"a": 0, "b": 1, "x</w>": 2, "ab": 3, "aba": 4, "<|startoftext|>": 5, "<|endoftext|>": 6, "b</w>": 7, "!</w>": 8})";

/// A folder with a vocabulary of nine tokens; `name` holds `content` instead, if given.
void write_small(const TempFolder& folder, const std::string& name = {}, const std::string& content = {}) {
  folder.write("vocab.json", small_vocabulary);
  folder.write("merges.txt", "#version: 0.2\nab a\na b\n");
  if (!name.empty()) folder.write(name, content);
}

void check_case(const std::filesystem::path& folder) {
  const auto fields = test::run_tokenizer_case(folder);
  CHECK(fields.size() == 4);
  for (const auto& field : fields) {
    INFO(field.name << ": " << field.first_failure);
    CHECK(field.passed >= 70);
    CHECK(field.failed == 0);
  }
}

}  // namespace

TEST_CASE("the small vocabulary gives the recorded ids", "[text][clip][golden]") {
  check_case(tiny_folder());
}

TEST_CASE("CLIP's published vocabulary gives the recorded ids", "[text][clip][golden]") {
  // Somebody's published files, which the repository does not hold.
  const char* const recorded = std::getenv("DAGUERRE_GOLDEN");
  const auto folder = std::filesystem::path(recorded == nullptr ? "" : recorded) / "text" / "clip_bpe";
  if (recorded == nullptr || !std::filesystem::exists(folder / "cases.json")) {
    WARN("skipped: DAGUERRE_GOLDEN names no folder that holds text/clip_bpe");
    return;
  }
  check_case(folder);
}

TEST_CASE("each model's tokenizer pads as its files say", "[text][clip]") {
  const auto sd1 = ClipTokenizer::load(golden("pipelines/sd1/tokenizer"));
  const auto sd2 = ClipTokenizer::load(golden("pipelines/sd2_v/tokenizer"));
  CHECK(sd1.pad_id() == sd1.end_id());
  CHECK(sd2.pad_id() == 0);
  CHECK(sd1.length() == 77);
  const auto ids = sd2.window("a photo").ids;
  REQUIRE(ids.size() == 77);
  CHECK(ids.front() == sd2.start_id());
  const auto end = std::find(ids.begin(), ids.end(), sd2.end_id());
  REQUIRE(end != ids.end());
  CHECK(std::count(end + 1, ids.end(), 0) == ids.end() - end - 1);
}

TEST_CASE("a text that is too long is cut and the words lost are named", "[text][clip]") {
  const auto tokenizer = ClipTokenizer::load(tiny_folder());
  const std::string fitting =
      "1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 "
      "1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5";
  REQUIRE(tokenizer.encode(fitting).size() == 75);
  CHECK(tokenizer.window(fitting).lost.empty());
  CHECK(tokenizer.window(fitting + " \n ").lost.empty());
  // The words as they were typed, not as they were normalised.
  const auto cut = tokenizer.window(fitting + "  Caf\u00E9,\tTHE  Cat \n");
  CHECK(cut.lost == "Caf\u00E9,\tTHE  Cat");
  CHECK(cut.ids == tokenizer.window(fitting).ids);
  CHECK(cut.ids.size() == 77);
  CHECK(cut.ids.back() == tokenizer.end_id());
  // A word that is cut in its middle is lost as a whole.
  const std::string word = "zqzqzq";
  REQUIRE(tokenizer.encode(word).size() > 2);
  CHECK(tokenizer.window(fitting.substr(2) + " " + word + " a").lost == word + " a");
  // Offsets survive what changes the length of the text before them.
  const auto openai = ClipTokenizer::load(tiny_folder(), ClipDialect::openai);
  CHECK(openai.window("  &#49;" + fitting.substr(1) + " \u0130 &amp;amp; a").lost == "\u0130 &amp;amp; a");
  CHECK(tokenizer.window("e\u0301 " + fitting + " \u212B").lost == "4 5 \u212B");
}

TEST_CASE("the two dialects differ where their references do", "[text][clip]") {
  const auto huggingface = ClipTokenizer::load(tiny_folder());
  const auto openai = ClipTokenizer::load(tiny_folder(), ClipDialect::openai);
  const auto start = openai.start_id(), end = openai.end_id();

  SECTION("HTML character references") {
    const std::vector<std::pair<std::string, std::string>> same{{"&eacute;", "\u00E9"},
                                                                {"&eacutex", "\u00E9x"},
                                                                {"&notit;", "\u00ACit;"},
                                                                {"&notin;", "\u2209"},
                                                                {"&amp;amp;", "&"},
                                                                {"&amp;amp;amp;", "&amp;"},
                                                                {"&#233", "\u00E9"},
                                                                {"&#xE9;", "\u00E9"},
                                                                {"&#x80;", "\u20AC"},
                                                                {"&#0;", "\uFFFD"},
                                                                {"&#55296;", "\uFFFD"},
                                                                {"&#99999999999999999999;", "\uFFFD"},
                                                                {"a&#1;b", "ab"},
                                                                {"&nosuch;", "& nosuch ;"},
                                                                {"&;", "&;"},
                                                                {"&#;", "&#;"},
                                                                {"&NotEqualTilde;", "\u2242\u0338"},
                                                                {"&acE;", "\u223E\u0333"},
                                                                {"&#xFFFE;a", "a"},
                                                                {"&ampamp;", "&"}};
    for (const auto& [reference, plain] : same) {
      INFO(reference);
      // `plain` in Hugging Face's dialect, which resolves nothing, is what openai's has to see.
      CHECK(openai.encode(reference) == huggingface.encode(plain));
    }
    CHECK(huggingface.encode("&eacute;") != huggingface.encode("\u00E9"));
  }
  SECTION("special tokens in the text") {
    CHECK(huggingface.encode("!<|endoftext|>!") ==
          Ids{huggingface.encode("!")[0], end, huggingface.encode("!")[0]});
    CHECK(openai.encode("!<|endoftext|>").back() != end);
    CHECK(openai.encode("<|EndOfText|>") == Ids{end});
    CHECK(huggingface.encode("<|EndOfText|>") != Ids{end});
    CHECK(huggingface.encode("<|STARTOFTEXT|>") == Ids{start});
    // Normalising comes before looking for the start token and behind looking for the end token.
    CHECK(huggingface.encode("<|startoftext|>\u0338").front() != start);
    CHECK(huggingface.encode("<|endoftext|>\u0338").front() == end);
    CHECK(openai.encode("<|startoftext|>\u0338").front() == start);
    // Regardless of case, a long s is an s, but not the same token.
    CHECK(openai.encode("<|\u017Ftartoftext|>") != Ids{start});
    CHECK(openai.encode("<|\u017Ftartoftext|>") != huggingface.encode("<|\u017Ftartoftext|>"));
  }
  SECTION("marks and separators") {
    CHECK(openai.encode("a\u0345") == openai.encode("a"));
    CHECK(huggingface.encode("a\u0345") != huggingface.encode("a"));
    CHECK(openai.encode("\x1F"
                        "a\x1C") == openai.encode("a"));
    CHECK(huggingface.encode("a\x1C") != huggingface.encode("a"));
  }
}

TEST_CASE("pairs are joined in the order of each reference", "[text][clip]") {
  const TempFolder folder;
  write_small(folder);
  // "ab a" has the lower rank, but exists only once "a b" has been joined.
  CHECK(ClipTokenizer::load(folder.path()).encode("ababx") == Ids{4, 1, 2});
  CHECK(ClipTokenizer::load(folder.path(), ClipDialect::openai).encode("ababx") == Ids{3, 3, 2});
  // Of bytes that the vocabulary lacks, each becomes the unknown token.
  CHECK(ClipTokenizer::load(folder.path()).encode("azx") == Ids{0, 6, 2});
}

TEST_CASE("decoding gives the text back", "[text][clip]") {
  const auto tokenizer = ClipTokenizer::load(tiny_folder());
  CHECK(tokenizer.decode(tokenizer.window("A Photo of  the CAT").ids) == "a photo of the cat");
  CHECK(tokenizer.decode(tokenizer.encode("caf\u00E9 \U0001F600")) == "caf\u00E9 \U0001F600");
  // Half a character is not left behind.
  const auto ids = tokenizer.encode("\U0001F600");
  REQUIRE(ids.size() > 1);
  CHECK(tokenizer.decode(std::span(ids).first(1)).ends_with("\uFFFD"));
  expect_error<ArgumentError>([&] { tokenizer.decode(Ids{100000}); }, {"[tokenizer]", "100000", "634"});
  expect_error<ArgumentError>([&] { tokenizer.decode(Ids{-1}); }, {"-1"});
  expect_error<ArgumentError>([&] { tokenizer.with_pad(634); }, {"634"});

  const auto seed = GENERATE(std::random_device{}(), 3u);
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    // Printable ASCII: the words come back in lower case, set apart by spaces. Encoding that again is stable.
    std::string text;
    for (auto left = random() % 60; left > 0; --left) text.push_back(static_cast<char>(0x20 + random() % 95));
    INFO(text);
    const std::string decoded = tokenizer.decode(tokenizer.encode(text));
    CHECK(tokenizer.decode(tokenizer.encode(decoded)) == decoded);
    std::string expected, found;
    for (const char c : text)
      if (c != ' ') expected.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
    std::copy_if(decoded.begin(), decoded.end(), std::back_inserter(found), [](char c) { return c != ' '; });
    CHECK(found == expected);
  }
}

TEST_CASE("no text is refused", "[text][clip]") {
  const auto dialect = GENERATE(ClipDialect::huggingface, ClipDialect::openai);
  const auto tokenizer = ClipTokenizer::load(tiny_folder(), dialect);
  CHECK(tokenizer.encode("a\xFF") == tokenizer.encode("a\uFFFD"));
  CHECK(tokenizer.encode(std::string_view("\0", 1)).size() == 1);
  CHECK(tokenizer.encode("").empty());
  CHECK(tokenizer.window("").ids.size() == 77);
  const auto seed = GENERATE(std::random_device{}(), 4u);
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    std::string bytes;
    for (auto left = random() % 100; left > 0; --left) bytes.push_back(static_cast<char>(random()));
    for (const auto id : tokenizer.encode(bytes)) REQUIRE((id >= 0 && id < tokenizer.vocabulary_size()));
    REQUIRE(tokenizer.window(bytes).ids.size() == 77);
  }
}

TEST_CASE("long texts take time in proportion", "[text][clip]") {
  const auto dialect = GENERATE(ClipDialect::huggingface, ClipDialect::openai);
  const auto tokenizer = ClipTokenizer::load(tiny_folder(), dialect);
  // One word, one run of marks and many references, of a million bytes each: a quadratic step anywhere would
  // take hours.
  const auto repeat = [](std::string_view part) {
    std::string text;
    while (text.size() < 1000000) text += part;
    return text;
  };
  const auto begin = std::chrono::steady_clock::now();
  CHECK(tokenizer.decode(tokenizer.encode(repeat("the"))) == repeat("the"));
  for (const auto part : {"\u0301\u0323", "&amp", "&", "'s", "<|", "\u03A3.", " ", "\u1100"})
    CHECK(tokenizer.window(repeat(part)).ids.size() == 77);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::minutes(2));
}

TEST_CASE("a tokenizer is used from many threads", "[text][clip]") {
  const auto tokenizer = ClipTokenizer::load(tiny_folder());
  const auto expected = tokenizer.encode("a photo of a lighthouse at dawn");
  std::vector<int> equal(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < equal.size(); ++i)
    threads.emplace_back([&, i, copy = tokenizer] {
      for (int k = 0; k < 200; ++k) equal[i] += copy.encode("a photo of a lighthouse at dawn") == expected;
    });
  for (auto& thread : threads) thread.join();
  CHECK(equal == std::vector<int>(4, 200));
}

TEST_CASE("special tokens and lengths are read from the folder", "[text][clip]") {
  const TempFolder folder;
  write_small(folder);
  SECTION("nothing but the vocabulary and the merges") {
    const auto tokenizer = ClipTokenizer::load(folder.path());
    CHECK(tokenizer.length() == 77);
    CHECK(tokenizer.pad_id() == 6);
    CHECK(tokenizer.vocabulary_size() == 9);
  }
  SECTION("the map of special tokens comes before the configuration") {
    folder.write("tokenizer_config.json", R"({"pad_token": "a", "model_max_length": 12})");
    folder.write("special_tokens_map.json", R"({"pad_token": {"content": "b"}})");
    CHECK(ClipTokenizer::load(folder.path()).pad_id() == 1);
    CHECK(ClipTokenizer::load(folder.path()).window("a").ids.size() == 12);
    folder.write("tokenizer_config.json",
                 R"({"pad_token": "a", "added_tokens_decoder": {"6": {"content": "<|endoftext|>"}}})");
    CHECK(ClipTokenizer::load(folder.path()).pad_id() == 0);
  }
  SECTION("a length beyond all bounds means none was set") {
    folder.write("tokenizer_config.json", R"({"model_max_length": 1000000000000000019884624838656})");
    CHECK(ClipTokenizer::load(folder.path()).length() == 77);
  }
  SECTION("added tokens") {
    folder.write("added_tokens.json", R"({"<Cat>": 9, "<cat-toy>": 10})");
    const auto tokenizer = ClipTokenizer::load(folder.path());
    CHECK(tokenizer.vocabulary_size() == 11);
    CHECK(tokenizer.encode("ab<CAT>x<cat-toy>") == Ids{0, 7, 9, 2, 10});
    CHECK(tokenizer.decode(Ids{0, 7, 9, 2}) == "ab <Cat> x");
  }
}

TEST_CASE("malformed tokenizer files are refused", "[text][clip]") {
  const TempFolder folder;
  const auto refuse = [&]<class E>(const E*, const std::string& name, const std::string& content,
                                   std::initializer_list<std::string_view> parts) {
    write_small(folder, name, content);
    INFO(name << ": " << content);
    expect_error<E>([&] { ClipTokenizer::load(folder.path()); }, parts);
    std::filesystem::remove(folder.path() / name);
  };
  const FormatError* format = nullptr;
  const ConfigError* config = nullptr;

  refuse(format, "vocab.json", "[1]", {"vocab.json", "object"});
  refuse(format, "vocab.json", "7", {"vocab.json", "object"});
  refuse(format, "vocab.json", "", {"vocab.json"});
  refuse(format, "vocab.json", R"({"a": 0, "b": )", {"vocab.json"});
  refuse(format, "vocab.json", R"({"a": "0"})", {"vocab.json", "\"a\"", "\"0\""});
  refuse(format, "vocab.json", R"({"a": 0.5})", {"\"a\"", "0.5"});
  refuse(format, "vocab.json", R"({"a": -1})", {"\"a\"", "-1"});
  refuse(format, "vocab.json", R"({"a": 4294967296})", {"\"a\"", "4294967296"});
  refuse(format, "vocab.json", R"({"a": null})", {"\"a\"", "null"});
  refuse(format, "vocab.json", R"({"a": {"b": 0}})", {"\"a\""});
  refuse(format, "vocab.json", R"({"a": [0]})", {"\"a\""});
  refuse(format, "vocab.json", R"({"a": 0, "b": 0})", {"same id 0"});
  refuse(format, "vocab.json", R"({"a": 0, "b": 2})", {"\"b\"", "id 2", "holes"});
  refuse(format, "vocab.json", R"({"a": 0, "a": 1})", {"duplicate"});
  refuse(format, "vocab.json", "{\"a\xFF\": 0}", {"UTF-8"});
  refuse(format, "merges.txt", "#version: 0.2\na b\na\n", {"merges.txt line 3", "\"a\""});
  refuse(format, "merges.txt", "a b a\n", {"merges.txt line 1", "one space"});
  refuse(format, "merges.txt", "a b\n\nab a\n", {"merges.txt line 2"});
  refuse(format, "merges.txt", " b\n", {"line 1"});
  refuse(format, "merges.txt", "a \n", {"line 1"});
  refuse(format, "merges.txt", "a b\na q\n", {"line 2", "\"q\"", "not in the vocabulary"});
  refuse(format, "merges.txt", "b a\n", {"line 1", "\"ba\"", "not in the vocabulary"});
  refuse(config, "vocab.json", R"({"a": 0, "b": 1, "ab": 2, "aba": 3})", {"bos_token", "<|startoftext|>"});
  refuse(config, "special_tokens_map.json", R"({"pad_token": "<pad>"})", {"pad_token", "<pad>"});
  refuse(config, "special_tokens_map.json", R"({"pad_token": 3})", {"special_tokens_map.json", "pad_token"});
  refuse(config, "special_tokens_map.json", R"({"eos_token": {"text": "a"}})", {"eos_token"});
  refuse(format, "special_tokens_map.json", "[]", {"special_tokens_map.json", "object"});
  refuse(config, "tokenizer_config.json", R"({"tokenizer_class": "T5Tokenizer"})", {"T5Tokenizer"});
  refuse(config, "tokenizer_config.json", R"({"model_max_length": 1})", {"model_max_length", "1"});
  refuse(config, "tokenizer_config.json", R"({"model_max_length": "77"})", {"model_max_length"});
  refuse(config, "tokenizer_config.json", R"({"model_max_length": 76.5})", {"76.5"});
  refuse(config, "tokenizer_config.json", R"({"model_max_length": -9223372036854775808})",
         {"model_max_length"});
  refuse(format, "tokenizer_config.json", R"({"added_tokens_decoder": [1]})", {"added_tokens_decoder"});
  refuse(format, "tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "c"}}})", {"\"c\""});
  refuse(format, "added_tokens.json", R"({"c": 11})", {"\"c\"", "11"});
  refuse(format, "added_tokens.json", R"({"a": 1})", {"\"a\"", "1", "0"});
  refuse(format, "added_tokens.json", R"({"": 9})", {"empty"});
  std::filesystem::remove(folder.path() / "merges.txt");
  expect_error<FileError>([&] { ClipTokenizer::load(folder.path()); }, {"merges.txt"});
  expect_error<FileError>([&] { ClipTokenizer::load(folder.path() / "nowhere"); }, {"vocab.json"});

  // Windows line ends are no fault.
  write_small(folder, "merges.txt", "#version: 0.2\r\na b\r\n");
  CHECK(ClipTokenizer::load(folder.path()).encode("abx") == Ids{3, 2});
}
