#include "daguerre/text/t5_tokenizer.hpp"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/core/error.hpp"
#include "daguerre/text/tokenizer_folders.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/sentencepiece_file.hpp"
#include "support/tokenizer_case.hpp"

using namespace daguerre;
using nlohmann::json;
using test::expect_error;
using test::SentencePieceFile;
using test::TempFolder;
using text::T5Dialect;
using text::T5Tokenizer;

namespace {

namespace fs = std::filesystem;
using Ids = std::vector<std::int32_t>;

const std::string space = "\xE2\x96\x81";

void check_case(const fs::path& folder, std::size_t fields_expected, int least) {
  const auto fields = test::run_tokenizer_case(folder);
  CHECK(fields.size() == fields_expected);
  for (const auto& field : fields) {
    INFO(field.name << ": " << field.first_failure);
    CHECK(field.passed >= least);
    CHECK(field.failed == 0);
  }
}

/// <pad> 0, </s> 1, <unk> 2, and some pieces.
SentencePieceFile small() {
  SentencePieceFile file;
  file.add("<pad>", 0.0f, SentencePieceFile::control);
  file.add("</s>", 0.0f, SentencePieceFile::control);
  file.add("<unk>", 0.0f, SentencePieceFile::unknown);
  file.add(space, -3.0f);        // 3
  file.add("a", -4.0f);          // 4
  file.add("b", -4.5f);          // 5
  file.add(space + "a", -5.0f);  // 6
  file.add("ab", -6.0f);         // 7
  file.add("c", -4.0f);          // 8
  return file;
}

T5Tokenizer load(const SentencePieceFile& file, const json& config = json::object(),
                 T5Dialect dialect = T5Dialect::huggingface) {
  const TempFolder folder;
  folder.write("spiece.model", file.bytes());
  folder.write("tokenizer_config.json", config.dump());
  return T5Tokenizer::load(folder.path(), dialect);
}

}  // namespace

TEST_CASE("sentencepiece models give the recorded ids", "[text][t5][golden]") {
  check_case(test::golden("text/t5_unigram_byte_fallback"), 2, 87);
  check_case(test::golden("text/t5_unigram_identity"), 2, 87);
  check_case(test::golden("text/umt5_unigram"), 3, 67);
}

TEST_CASE("a sentencepiece model with a charsmap gives the recorded ids", "[text][t5][golden]") {
  check_case(test::golden("text/t5_unigram"), 2, 87);
}

TEST_CASE("a unigram tokenizer.json alone gives the same ids as its sentencepiece model", "[text][t5]") {
  for (const auto* name : {"t5_unigram_byte_fallback", "t5_unigram_identity"}) {
    INFO(name);
    const auto whole = test::golden(std::string("text/") + name);
    const TempFolder folder;
    for (const auto* file : {"tokenizer.json", "tokenizer_config.json"})
      fs::copy_file(whole / file, folder / file);
    const auto of_json = T5Tokenizer::load(folder.path()), of_model = T5Tokenizer::load(whole);
    CHECK(of_json.source() == (folder / "tokenizer.json").string());
    CHECK(of_json.end_id() == 1);
    CHECK(of_json.pad_id() == 0);
    CHECK(of_json.vocabulary_size() == of_model.vocabulary_size());
    int compared = 0;
    for (const auto& item : json::parse(test::read_file(whole / "cases.json"))) {
      const auto text = item.at("text").get<std::string>();
      INFO(text);
      auto ids = of_json.encode(text);
      ids.push_back(1);
      CHECK(ids == item.at("hf_ids").get<Ids>());
      ++compared;
    }
    CHECK(compared == 88);
  }
}

TEST_CASE("the likeliest pieces win, whatever their number", "[text][t5]") {
  const auto tokenizer = load(small());
  CHECK(tokenizer.encode("ab") == Ids{3, 7});  // -3 - 6 before -5 - 4.5
  CHECK(tokenizer.encode("a") == Ids{6});      // -5 before -3 - 4
  CHECK(tokenizer.encode("  a   c ") == Ids{6, 3, 8});
  CHECK(tokenizer.encode("").empty());
  CHECK(tokenizer.encode("   ").empty());
  // Neighbouring unknown characters are one.
  CHECK(tokenizer.encode("xyz c") == Ids{3, 2, 3, 8});
  CHECK(tokenizer.encode("\xFF"
                         "c") == Ids{3, 2, 8});
}

TEST_CASE("user-defined pieces win over any other", "[text][t5]") {
  auto file = small();
  file.add("bc", -100.0f, SentencePieceFile::user_defined);  // 9
  file.add("ac", 0.0f, SentencePieceFile::unused);           // 10
  for (const auto dialect : {T5Dialect::sentencepiece, T5Dialect::huggingface})
    CHECK(load(file, {{"extra_ids", 0}}, dialect).encode("abc") == Ids{6, 9});
  CHECK(load(file).encode("ac") == Ids{6, 8});
}

TEST_CASE("unknown text is spelled in bytes where the model has them", "[text][t5]") {
  auto file = small();
  for (int byte = 0; byte < 256; ++byte) file.add_byte(static_cast<unsigned char>(byte));
  file.byte_fallback = true;
  const auto tokenizer = load(file);
  CHECK(tokenizer.encode("a\xC3\xA9") == Ids{6, 9 + 0xC3, 9 + 0xA9});
  CHECK(tokenizer.decode(tokenizer.encode("a\xC3\xA9 b")) == "a\xC3\xA9 b");
  CHECK(tokenizer.decode(Ids{6, 9 + 0xC3}) == "a\xEF\xBF\xBD");
}

TEST_CASE("control tokens are found in the text as Hugging Face does, or not as sentencepiece",
          "[text][t5]") {
  const auto fast = load(small(), {{"extra_ids", 3}}),
             own = load(small(), {{"extra_ids", 3}}, T5Dialect::sentencepiece);
  CHECK(fast.encode("a </s>a") == Ids{6, 1, 6});
  CHECK(fast.encode("<extra_id_0> <extra_id_2>a") == Ids{11, 9, 6});
  CHECK(fast.vocabulary_size() == 12);
  CHECK(fast.decode(Ids{6, 0, 11, 2}) == "a<extra_id_0> \xE2\x81\x87 ");
  CHECK(own.encode("a </s>a") == Ids{6, 3, 2, 4});
  // 100 where nothing is said; none behind what the configuration lists.
  CHECK(load(small()).vocabulary_size() == 109);
  const json listed{{"added_tokens_decoder", {{"20", {{"content", "<cat>"}}}}}};
  CHECK(load(small(), listed).encode("a<cat>") == Ids{6, 20});
}

TEST_CASE("only the first part gets a space where the files say so", "[text][t5]") {
  const json config{{"extra_ids", 0}, {"legacy", false}};
  CHECK(load(small(), config).encode("a</s>a") == Ids{6, 1, 4});
  CHECK(load(small(), {{"extra_ids", 0}}).encode("a</s>a") == Ids{6, 1, 6});
}

TEST_CASE("a window holds what fits and says what does not", "[text][t5]") {
  const auto tokenizer = load(small(), {{"model_max_length", 7}});
  CHECK(tokenizer.length() == 7);
  const auto whole = tokenizer.window("a c", 6);
  CHECK(whole.ids == Ids{6, 3, 8, 1, 0, 0});
  CHECK(whole.padding == 2);
  CHECK(whole.lost.empty());
  const auto full = tokenizer.window("a c", 4);
  CHECK(full.ids == Ids{6, 3, 8, 1});
  CHECK(full.lost.empty());
  // "cc" is cut, and lost as a whole.
  const auto cut = tokenizer.window("a   cc a", 4);
  CHECK(cut.ids == Ids{6, 3, 8, 1});
  CHECK(cut.lost == "cc a");
  CHECK(tokenizer.window("a c", 1).ids == Ids{1});
  CHECK(tokenizer.window("a c", 1).lost == "a c");
  expect_error<ArgumentError>([&] { tokenizer.window("a", 0); }, {"[tokenizer]", "0 tokens"});
}

TEST_CASE("a sentencepiece model that is broken is refused", "[text][t5]") {
  const auto refused = [](const SentencePieceFile& file, std::initializer_list<std::string_view> parts) {
    expect_error<FormatError>([&] { load(file); }, parts);
  };
  auto twice = small();
  twice.add("a", -1.0f);
  refused(twice, {"spiece.model", "\"a\"", "twice"});
  auto two_unknown = small();
  two_unknown.add("<unk2>", 0.0f, SentencePieceFile::unknown);
  refused(two_unknown, {"two pieces for what is unknown"});
  refused(SentencePieceFile(), {"no pieces"});
  auto empty = small();
  empty.add("", 0.0f);
  refused(empty, {"piece 9 is empty"});
  auto no_bytes = small();
  no_bytes.byte_fallback = true;
  refused(no_bytes, {"<0x00>"});
  auto infinite = small();
  infinite.add("d", std::numeric_limits<float>::infinity());
  refused(infinite, {"not finite"});
  auto odd_byte = small();
  odd_byte.add("x", 0.0f, SentencePieceFile::byte);
  refused(odd_byte, {"\"x\"", "byte"});
  auto bpe = small();
  bpe.model_type = 2;
  expect_error<ConfigError>([&] { load(bpe); }, {"type 2", "unigram"});
  // Every cut through the file is noticed, or leaves a smaller file that is whole.
  const auto bytes = small().bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const TempFolder folder;
    folder.write("spiece.model", std::string_view(bytes).substr(0, size));
    try {
      const auto ids = T5Tokenizer::load(folder.path()).encode("a");
      CHECK_FALSE(ids.empty());
    } catch (const FormatError& error) {
      CHECK(std::string(error.what()).find("spiece.model") != std::string::npos);
    } catch (const ConfigError&) {  // without </s>
    }
  }
}

TEST_CASE("a charsmap that does not fit its length is refused", "[text][t5]") {
  for (const auto& map :
       {std::string("\1\0\0", 3), std::string("\4\0\0\0\0\0\0\0", 8), std::string("\5\0\0\0\0\0\0\0\0\0", 10),
        std::string("\377\377\377\377\0\0\0\0\0", 9)}) {
    auto file = small();
    file.charsmap = map;
    expect_error<FormatError>([&] { load(file); }, {"precompiled_charsmap"});
  }
}

TEST_CASE("a T5 tokenizer's folder that says something else is refused", "[text][t5]") {
  expect_error<ConfigError>(
      [] {
        load(small(), {{"tokenizer_class", "CLIPTokenizer"}});
      },
      {"CLIPTokenizer", "T5TokenizerFast"});
  expect_error<ConfigError>([] { load(small(), {{"eos_token", "<end>"}}); }, {"eos_token", "<end>"});
  expect_error<ConfigError>([] { load(small(), {{"extra_ids", -1}}); }, {"extra_ids"});
  const TempFolder folder;
  expect_error<FileError>([&] { T5Tokenizer::load(folder.path()); }, {"spiece.model", "tokenizer.json"});
  const auto refused = [&](const char* part, const json& value, const std::string& expected) {
    auto whole = json::parse(test::read_file(test::golden("text/t5_unigram_identity") / "tokenizer.json"));
    whole[json::json_pointer(part)] = value;
    folder.write("tokenizer.json", whole.dump());
    try {
      T5Tokenizer::load(folder.path());
      FAIL_CHECK("nothing was refused for " << part);
    } catch (const Error& error) {
      INFO(error.what());
      CHECK(std::string(error.what()).find(expected) != std::string::npos);
    }
  };
  refused("/model/type", "BPE", "Unigram");
  refused("/model/unk_id", 260, "unk_id");
  refused("/model/vocab/7", "x", "vocab");
  refused("/model/vocab", nullptr, "vocab");
  refused("/normalizer", {{"type", "NFD"}}, "NFD");
  refused("/normalizer/normalizers/1/content", "x", "Replace");
  refused("/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "A"}}, "base64");
  refused("/pre_tokenizer", {{"type", "ByteLevel"}}, "ByteLevel");
  refused("/added_tokens/0/content", "<other>", "<other>");
}

TEST_CASE("a T5 tokenizer is found among others", "[text][t5]") {
  const TempFolder folder;
  const auto clip = test::golden("text/tiny_clip_tokenizer");
  for (const auto* file : {"vocab.json", "merges.txt", "tokenizer.json"}) {
    fs::create_directories(folder / "tokenizer");
    fs::copy_file(clip / file, folder.path() / "tokenizer" / file);
  }
  const auto folders = text::tokenizer_folders(folder.path(), {}, {});
  expect_error<FileError>([&] { text::find_t5_tokenizer(folders); },
                          {"spiece.model", folder.path().string()});
  folder.write("tokenizer_3/spiece.model", small().bytes());
  CHECK(text::find_t5_tokenizer(folders).encode("a") == Ids{6});
}

TEST_CASE("a vocabulary from elsewhere makes the tokenizer of its folder", "[text][tokenizer]") {
  const test::TempFolder folder;
  test::SentencePieceFile file;
  text::T5Vocabulary vocabulary;
  vocabulary.source = "here";
  const auto add = [&](std::string_view piece, float score, test::SentencePieceFile::Type type) {
    file.add(piece, score, type);
    vocabulary.pieces.push_back({std::string(piece), score, static_cast<int>(type)});
  };
  using enum test::SentencePieceFile::Type;
  add("<pad>", 0.0f, control);
  add("</s>", 0.0f, control);
  add("<unk>", 0.0f, unknown);
  for (const auto* piece : {"\xE2\x96\x81", "a", "b",
                            "\xE2\x96\x81"
                            "ab",
                            "ba"})
    add(piece, -1.5f, normal);
  add("<extra_id_0>", 0.0f, user_defined);
  folder.write("spiece.model", file.bytes());
  const auto loaded = text::T5Tokenizer::load(folder.path()), made = text::T5Tokenizer::from(vocabulary);
  for (const auto* text : {"ab ba", "  abba  c", "a <extra_id_0> b", "</s>ab"}) {
    INFO(text);
    CHECK(made.encode(text) == loaded.encode(text));
    CHECK(made.window(text, 6).ids == loaded.window(text, 6).ids);
  }
  CHECK(made.source() == "here");
  auto wrong = vocabulary;
  wrong.end_id = 9;
  test::expect_error<FormatError>([&] { text::T5Tokenizer::from(wrong); },
                                  {"here", "the end is token 9, of 9"});
  wrong = vocabulary;
  wrong.pieces.back().kind = 7;
  test::expect_error<FormatError>([&] { text::T5Tokenizer::from(wrong); }, {"here", "unknown type 7"});
}
