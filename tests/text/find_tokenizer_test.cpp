#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/core/error.hpp"
#include "daguerre/text/clip_tokenizer_files.hpp"
#include "daguerre/text/tokenizer_folders.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"

using namespace daguerre;
namespace fs = std::filesystem;
using text::ClipPadding;
using text::ClipTokenizer;
using text::find_clip_tokenizer;

namespace {

fs::path tiny() {
  return test::golden("text/tiny_clip_tokenizer");
}

void copy_vocabulary(const fs::path& folder) {
  fs::create_directories(folder);
  for (const auto* file : {"vocab.json", "merges.txt"}) fs::copy_file(tiny() / file, folder / file);
}

std::vector<std::int32_t> ids(const ClipTokenizer& tokenizer, const std::string& text) {
  return tokenizer.window(text).ids;
}

}  // namespace

TEST_CASE("a tokenizer is found where it may lie, in order", "[text][tokenizer]") {
  const test::TempFolder folder;
  const auto model = folder.write("models/x.safetensors", "");
  const auto found = [&](const fs::path& given, const fs::path& fallback) {
    const auto folders = text::tokenizer_folders(given, model, fallback);
    return fs::path(find_clip_tokenizer(folders, ClipPadding::end_of_text).source()).parent_path();
  };
  copy_vocabulary(folder / "fallback");
  CHECK(found({}, folder / "fallback") == folder / "fallback");
  copy_vocabulary(folder / "models/tokenizer");
  CHECK(found({}, folder / "fallback") == folder / "models/tokenizer");
  copy_vocabulary(folder / "models");
  CHECK(found({}, {}) == folder / "models");
  copy_vocabulary(folder / "given/tokenizer_2");
  CHECK(found(folder / "given", folder / "fallback") == folder / "given/tokenizer_2");
  // A file without a folder before it lies in the folder that the program runs in.
  CHECK(text::tokenizer_folders({}, "x.safetensors", {}) == std::vector<fs::path>{"."});

  const auto nowhere = text::tokenizer_folders(folder / "none", {}, folder / "neither");
  test::expect_error<FileError>(
      [&] { find_clip_tokenizer(nowhere, ClipPadding::id_0); },
      {"there is no tokenizer", (folder / "none").string(), (folder / "neither").string(),
       "vocab.json and merges.txt", "bpe_simple_vocab_16e6.txt.gz"});
  test::expect_error<FileError>([&] { find_clip_tokenizer({}, ClipPadding::id_0); }, {"none is named"});
  folder.write("broken/vocab.json", "{");
  folder.write("broken/merges.txt", "");
  test::expect_error<FormatError>(
      [&] { find_clip_tokenizer(std::vector<fs::path>{folder / "broken"}, ClipPadding::id_0); }, {"broken"});
}

TEST_CASE("the padding is the model's, whatever the files say", "[text][tokenizer]") {
  const test::TempFolder folder;
  copy_vocabulary(folder.path());
  folder.write("tokenizer_config.json", R"({"pad_token": "!", "model_max_length": 77})");
  const std::vector<fs::path> folders{folder.path()};
  CHECK(ClipTokenizer::load(folder.path()).pad_id() == 0);
  const auto first = find_clip_tokenizer(folders, ClipPadding::end_of_text);
  const auto second = find_clip_tokenizer(folders, ClipPadding::id_0);
  CHECK(first.pad_id() == first.end_id());
  CHECK(second.pad_id() == 0);
  CHECK(ids(first, "a cat").back() == first.end_id());
  CHECK(ids(second, "a cat").back() == 0);
  // As in the published tokenizers, "!" is the pad token in a text as well where it pads.
  CHECK(second.encode("!") == std::vector<std::int32_t>{0});
  CHECK(first.encode("!") != second.encode("!"));
}

TEST_CASE("openai/CLIP's vocabulary file is read", "[text][tokenizer]") {
  const test::TempFolder folder;
  folder.write("plain/bpe_simple_vocab_16e6.txt", "x#version: 0.2\nc a\nca t</w>\nt h\nth e</w>\n");
  const auto tokenizer = ClipTokenizer::load(folder / "plain");
  CHECK(tokenizer.vocabulary_size() == 512 + 4 + 2);
  CHECK(tokenizer.start_id() == 516);
  CHECK(tokenizer.end_id() == 517);
  CHECK(tokenizer.length() == 77);
  CHECK(tokenizer.encode("the cat!") == std::vector<std::int32_t>{515, 513, 256});
  CHECK(tokenizer.decode(tokenizer.encode("the cat")) == "the cat");
  CHECK(tokenizer.encode("\xC3\xBF").size() == 2);

  // The same as the files that it becomes.
  const std::vector<fs::path> folders{folder / "plain"};
  for (const auto& [name, content] : text::find_clip_tokenizer_files(folders, ClipPadding::id_0))
    folder.write("written/" + name, content);
  const auto written = ClipTokenizer::load(folder / "written");
  CHECK(written.vocabulary_size() == tokenizer.vocabulary_size());
  CHECK(written.pad_id() == 0);
  for (const std::string prompt : {"the cat", "thecatthe c\xC3\xA4t!", "A \xF0\x9F\x90\x88 12"})
    CHECK(written.encode(prompt) == find_clip_tokenizer(folders, ClipPadding::id_0).encode(prompt));

  const auto refuse = [&](const std::string& content, std::initializer_list<std::string_view> parts) {
    folder.write("bad/bpe_simple_vocab_16e6.txt.gz", content);
    test::expect_error<FormatError>([&] { ClipTokenizer::load(folder / "bad"); }, parts);
  };
  refuse("c a\n", {"#version"});
  refuse("#version\nc a\nca\n", {"line 3", "\"ca\""});
  refuse("#version\nc a b\n", {"line 2"});
  refuse("#version\ncx a\n", {"line 2", "\"cx\"", "no line before"});
  refuse("#version\nc a\nc a\n", {"line 3", "already"});
  refuse("\x1F\x8B\x08", {"gzip"});
}

TEST_CASE("a tokenizer's files are written as they were read", "[text][tokenizer][golden]") {
  const test::TempFolder folder;
  const std::vector<fs::path> folders{tiny()};
  const auto files = text::find_clip_tokenizer_files(folders, ClipPadding::end_of_text);
  for (const auto& [name, content] : files) folder.write(name, content);
  const auto json = [](const fs::path& path) { return nlohmann::json::parse(test::read_file(path)); };
  CHECK(json(folder / "vocab.json") == json(tiny() / "vocab.json"));
  const auto written = ClipTokenizer::load(folder.path()), original = ClipTokenizer::load(tiny());
  for (const std::string prompt : {"a photo of a cat", "hello, world!", "It's 2026."})
    CHECK(written.window(prompt).ids == original.with_pad(original.end_id()).window(prompt).ids);
}

TEST_CASE("the files of T5's tokenizer are found as they are", "[text][tokenizer]") {
  const test::TempFolder folder;
  const auto source = test::golden("text/t5_unigram");
  fs::create_directories(folder / "tokenizer_2");
  for (const auto* file : {"spiece.model", "tokenizer_config.json"})
    fs::copy_file(source / file, folder / "tokenizer_2" / file);
  CHECK(text::has_t5_tokenizer(folder.path()));
  CHECK_FALSE(text::has_t5_tokenizer(tiny()));
  const auto files = text::find_t5_tokenizer_files(std::vector{folder.path()});
  CHECK(files.size() == 2);
  CHECK((files.at("spiece.model") == test::read_file(source / "spiece.model")));
  test::expect_error<FileError>([] { text::find_t5_tokenizer_files(std::vector{tiny()}); }, {"spiece.model"});
}
