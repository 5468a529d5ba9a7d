// Models that come in one file, or in a file for each part.
#include <array>
#include <filesystem>

#include "daguerre/daguerre.hpp"
#include "daguerre/pipeline/model_source.hpp"
#include "daguerre/text/clip_tokenizer_files.hpp"
#include "daguerre/weights/convert.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/guest.hpp"
#include "support/tiny_checkpoint.hpp"

using namespace daguerre;
using namespace daguerre::test;
namespace fs = std::filesystem;

namespace {

const fs::path tokenizer_folder = golden("pipelines/sd1/tokenizer");

LoadOptions options_with(const SourceOptions& source) {
  return {
      .precision = Precision::float32, .threads = 1, .source = std::make_shared<const SourceOptions>(source)};
}

Result picture(const Pipeline& pipe) {
  return pipe.generate({.prompt = "a cat",
                        .size = {.width = 16, .height = 16},
                        .sampling = {.steps = 2, .seed = 3, .sampler = "ddim"},
                        .output = {.decoded = true}});
}

}  // namespace

TEST_CASE("a model in one file makes the picture of its folder, bit by bit", "[pipeline][checkpoint]") {
  const TempFolder folder;
  const auto file = folder.write("model.safetensors", TinyCheckpoint("sd1").whole().bytes());
  const auto from_file = Pipeline::load(file, options_with({.tokenizer = tokenizer_folder}));
  const auto info = from_file.info();
  CHECK(info.name == "model");
  CHECK(info.class_name == "StableDiffusionPipeline");
  CHECK(info.family == "sd");

  weights::ConvertOptions convert;
  convert.files =
      text::find_clip_tokenizer_files(std::array{tokenizer_folder}, text::ClipPadding::end_of_text);
  weights::convert_checkpoint(weights::open_checkpoint(file), folder.path() / "model", convert);
  const auto from_folder = Pipeline::load(folder.path() / "model", options_with({}));
  const auto a = picture(from_file), b = picture(from_folder);
  CHECK(equal(a.latents, b.latents));
  CHECK(equal(a.decoded, b.decoded));

  // Weights that stay in the file are the same numbers.
  auto mapped = options_with({.tokenizer = tokenizer_folder});
  mapped.weights = WeightStorage::mapped;
  CHECK(equal(picture(Pipeline::load(file, mapped)).latents, a.latents));
  mapped.weights = WeightStorage::automatic;
  mapped.memory_limit = 1'000'000;
  const auto limited = Pipeline::load(file, mapped);
  CHECK(limited.info().weights == WeightStorage::mapped);
  CHECK(equal(picture(limited).latents, a.latents));
  mapped.memory_limit = std::uint64_t{1} << 40;
  CHECK(Pipeline::load(file, mapped).info().weights == WeightStorage::packed);
}

TEST_CASE("a model may lie in a file for each part", "[pipeline][checkpoint]") {
  const TempFolder folder;
  const auto whole = folder.write("model.safetensors", TinyCheckpoint("sd1").whole().bytes());
  const auto unet = folder.write("unet.safetensors", TinyCheckpoint("sd1").unet().bytes());
  const auto rest = folder.write("rest.safetensors", TinyCheckpoint("sd1").autoencoder("").bytes());
  const auto clip = folder.write("clip.safetensors", TinyCheckpoint("sd1").clip("").bytes());
  const SourceOptions source{.tokenizer = tokenizer_folder};
  const auto joined =
      Pipeline::load(ModelSource::join(std::array<fs::path, 3>{unet, rest, clip}, source), options_with({}));
  CHECK(picture(joined).images.at(0).width() == 16);
  expect_error<ConfigError>(
      [&] {
        ModelSource::join(std::array<fs::path, 2>{unet, clip}, source);
      },
      {"without vae", "give the files"});
}

TEST_CASE("files that make no pictures are told apart", "[pipeline][checkpoint]") {
  const TempFolder folder;
  const auto refused = [&](const fs::path& file, std::initializer_list<std::string_view> parts) {
    INFO(file.string());
    expect_error<ConfigError>([&] { Pipeline::load(file, options_with({.tokenizer = tokenizer_folder})); },
                              parts);
  };
  refused(folder.write("vae.safetensors", TinyCheckpoint("sd1").autoencoder("").bytes()),
          {"vae.safetensors", "makes no pictures by itself"});
  refused(folder.write("unet.safetensors", TinyCheckpoint("sd1").unet("").bytes()),
          {"without", "text_encoder", "vae"});
  // A model without its vocabulary says which files are needed.
  const auto file = folder.write("alone/model.safetensors", TinyCheckpoint("sd1").whole().bytes());
  expect_error<FileError>([&] { Pipeline::load(file, options_with({})); }, {"vocab.json", "merges.txt"});
}
