#include "support/files.hpp"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <set>

#include "daguerre/media/image.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "daguerre/weights/checkpoint.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/hostile.hpp"
#include "support/process.hpp"

using namespace daguerre;
using namespace daguerre::test;
namespace fs = std::filesystem;

namespace {

constexpr double most_seconds = is_instrumented ? 20.0 : 1.0;
constexpr double most_megabytes = is_instrumented ? 2000.0 : 100.0;

/// `read` must throw a daguerre::Error, soon and without taking much memory.
void expect_refusal(const HostileFile& file, const std::function<void()>& read) {
  INFO(file.name.substr(0, 200));
  const PeakMemory memory;
  const auto begin = process_seconds();
  std::string outcome;
  try {
    read();
    outcome = "accepted";
  } catch (const Error& error) {
    if (std::string_view(error.what()).size() > 4000) outcome = "a text of more than 4000 bytes";
  } catch (const std::exception& error) {
    outcome = std::string("another exception: ") + error.what();
  }
  CHECK(outcome == "");
  CHECK(process_seconds() - begin < most_seconds);
  CHECK(memory.growth_megabytes() < most_megabytes);
}

/// A copy of the small model, whose files are replaced one at a time.
class EmojiCopy {
 public:
  EmojiCopy() {
    for (const auto* part : {"model_index.json", "scheduler", "text_encoder", "tokenizer", "unet", "vae"})
      fs::copy(original() / part, folder_.path() / part, fs::copy_options::recursive);
  }
  static fs::path original() { return golden("pipelines/sd1"); }
  const TempFolder& folder() const { return folder_; }

  /// Loads with `file` in its place and makes a picture.
  void expect_refusal(const HostileFile& file) const {
    folder_.write(file.path, file.content);
    ::expect_refusal(file, [&] {
      const auto pipe = Pipeline::load(folder_.path(), {.precision = Precision::float32, .threads = 1});
      Request order;
      order.prompt = "a cat";
      order.size.width = order.size.height = 16;
      order.sampling.steps = 1;
      order.sampling.sampler = "ddim";
      (void)pipe.generate(order);
    });
    if (fs::exists(original() / file.path))
      fs::copy_file(original() / file.path, folder_.path() / file.path, fs::copy_options::overwrite_existing);
    else
      fs::remove(folder_.path() / file.path);
  }

 private:
  TempFolder folder_;
};

}  // namespace

TEST_CASE("there are many malformed files", "[hostile]") {
  const auto model = EmojiCopy::original();
  std::size_t count = 0;
  for (const auto& files : {hostile_safetensors(model), hostile_gguf(), hostile_configs(model),
                            hostile_tokenizers(model), hostile_tokenizer_json(model), hostile_indexes(),
                            hostile_pictures(), hostile_png_text(), hostile_jpegs(), hostile_bmps()}) {
    CHECK(files.size() >= 20);
    count += files.size();
  }
  CHECK(count >= 1000);
}

TEST_CASE("malformed safetensors files are refused at once", "[hostile]") {
  const EmojiCopy model;
  const auto files = hostile_safetensors(EmojiCopy::original());
  CHECK(files.size() >= 150);
  for (const auto& file : files) model.expect_refusal(file);
}

TEST_CASE("malformed GGUF files are refused at once", "[hostile]") {
  const TempFolder folder;
  const auto files = hostile_gguf();
  CHECK(files.size() >= 150);
  for (const auto& file : files) {
    const auto path = folder.write("x.safetensors", file.content);
    expect_refusal(file, [&] { (void)weights::open_checkpoint(path); });
  }
}

TEST_CASE("malformed configurations are refused at once", "[hostile]") {
  const EmojiCopy model;
  for (const auto& file : hostile_configs(EmojiCopy::original())) model.expect_refusal(file);
}

TEST_CASE("malformed tokenizer files are refused at once", "[hostile]") {
  const EmojiCopy model;
  for (const auto& file : hostile_tokenizers(EmojiCopy::original())) model.expect_refusal(file);
}

TEST_CASE("malformed tokenizer.json files are refused at once", "[hostile]") {
  const EmojiCopy model;
  fs::remove(model.folder() / "tokenizer/vocab.json");
  for (const auto& file : hostile_tokenizer_json(EmojiCopy::original())) model.expect_refusal(file);
}

TEST_CASE("malformed indexes of sharded weights are refused at once", "[hostile]") {
  const EmojiCopy model;
  fs::remove(model.folder() / "text_encoder/model.safetensors");
  fs::create_directory(model.folder() / "text_encoder/folder");
  fs::create_symlink("loop.safetensors", model.folder() / "text_encoder/loop.safetensors");
  for (const auto& file : hostile_indexes()) model.expect_refusal(file);
}

TEST_CASE("folders in the place of files, and links in circles, are refused", "[hostile]") {
  for (const auto* path :
       {"model_index.json", "scheduler", "scheduler/scheduler_config.json", "tokenizer/vocab.json",
        "tokenizer/merges.txt", "tokenizer/tokenizer_config.json", "tokenizer/special_tokens_map.json",
        "text_encoder", "text_encoder/config.json", "text_encoder/model.safetensors", "unet", "vae"})
    for (const bool link : {true, false}) {
      const EmojiCopy model;
      fs::remove_all(model.folder() / path);
      if (link)
        fs::create_symlink(fs::path(path).filename(), model.folder() / path);
      else
        fs::create_directory(model.folder() / path);
      expect_refusal({std::string(path) + (link ? " is a link to itself" : " is an empty folder"), {}, {}},
                     [&] { (void)Pipeline::load(model.folder().path(), {.threads = 1}); });
    }
  expect_refusal({"a name of 1000 bytes", {}, {}}, [] { (void)Pipeline::load(repeated("n", 1000)); });
}

TEST_CASE("malformed JPEG and BMP files are refused at once", "[hostile]") {
  const TempFolder folder;
  for (const auto& files : {hostile_jpegs(), hostile_bmps()})
    for (const auto& file : files)
      expect_refusal(file, [&] { (void)Image::load(folder.write("x", file.content)); });
}

TEST_CASE("malformed PNG files are refused at once", "[hostile]") {
  const TempFolder folder;
  for (const auto& file : hostile_pictures())
    expect_refusal(file, [&] { (void)Image::load(folder.write("x.png", file.content)); });
  for (const auto& file : hostile_png_text())
    expect_refusal(file, [&] { (void)read_png_text(folder.write("x.png", file.content)); });
}
