// Models that come in one file, or in a file for each part.
#include <array>
#include <filesystem>

#include "daguerre/daguerre.hpp"
#include "daguerre/pipeline/model_source.hpp"
#include "daguerre/text/clip_tokenizer_files.hpp"
#include "daguerre/text/t5_tokenizer.hpp"
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

TEST_CASE("a FLUX model without its T5 says which file to give", "[pipeline][checkpoint]") {
  const TempFolder folder;
  const auto flux = folder.write("flux.safetensors", TinyCheckpoint("flux-dev").transformer("").bytes());
  const auto vae = folder.write("ae.safetensors", TinyCheckpoint("flux-dev").autoencoder("").bytes());
  const auto clip = folder.write("clip_l.safetensors", TinyCheckpoint("").clip("").bytes());
  const SourceOptions options{.tokenizer = tokenizer_folder};
  expect_error<ConfigError>(
      [&] {
        ModelSource::join(std::array<fs::path, 3>{flux, vae, clip}, options);
      },
      {"flux.safetensors is FLUX.1 dev without text_encoder_2, a T5 text encoder (as t5xxl_fp16.safetensors)",
       "give the files"});

  // llama.cpp's files bring their vocabulary.
  const auto t5 = golden("gguf/t5_encoder/model.gguf");
  const auto model = ModelSource::join(std::array<fs::path, 4>{flux, vae, clip, t5}, options);
  CHECK(model.class_name() == "FluxPipeline");
  const auto part = model.part("tokenizer_2", {"T5TokenizerFast"});
  const auto tokenizer = part.tokenizer<text::T5Tokenizer>();
  CHECK(tokenizer.source() == t5.string());
  CHECK(tokenizer.vocabulary_size() == 48);
  CHECK(model.part("text_encoder_2", {"T5EncoderModel"}).config().get("d_model", 0) == 64);
  // Without any of either, what is needed is told.
  const auto plain = folder.write("t5.safetensors", TinyCheckpoint("").t5("").bytes());
  expect_error<FileError>(
      [&] {
        ModelSource::join(std::array<fs::path, 4>{flux, vae, clip, plain}, options);
      },
      {"spiece.model"});
  // One that is given counts more.
  SourceOptions given = options;
  given.tokenizer = folder.path();
  for (const auto* file : {"vocab.json", "merges.txt"})
    fs::copy_file(tokenizer_folder / file, folder.path() / file);
  fs::copy_file(golden("text/t5_unigram/spiece.model"), folder.path() / "spiece.model");
  const auto other = ModelSource::join(std::array<fs::path, 4>{flux, vae, clip, t5}, given);
  CHECK(other.part("tokenizer_2").tokenizer<text::T5Tokenizer>().source() ==
        (folder.path() / "spiece.model").string());
}
