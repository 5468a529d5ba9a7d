#include <algorithm>
#include <string>
#include <vector>

#include "daguerre/daguerre.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/model_copy.hpp"

/// Folders as people have them: what diffusers and transformers of all versions write, and what their loaders
/// put right. Each is made from a recorded one, and must make the same picture, or be refused with a reason.
using namespace daguerre;
using nlohmann::json;
using test::expect_error;
using test::ModelCopy;
namespace fs = std::filesystem;

namespace {

Pipeline load(const fs::path& folder, LogSink log = {}) {
  return Pipeline::load(folder,
                        {.precision = Precision::float32, .engine = "native", .threads = 1, .log = log});
}

/// A small picture by the model: of a prompt, or of nothing.
Tensor<float> picture(const fs::path& folder, const std::string& prompt = "a cat on a red carpet") {
  const auto pipe = load(folder);
  Request order;
  order.sampling.steps = 4;
  order.output.decoded = true;
  order.sampling.seed = 3;
  order.size.width = order.size.height = 16;
  if (pipe.info().width != 16) order.prompt = prompt;
  return pipe.generate(order).decoded;
}

/// The picture of the folder as it was recorded.
Tensor<float> recorded_picture(const std::string& name) {
  return picture(ModelCopy(name).path());
}

bool equal(const Tensor<float>& a, const Tensor<float>& b) {
  return a.shape() == b.shape() && std::equal(a.span().begin(), a.span().end(), b.span().begin());
}

std::string without_prefix(const std::string& name) {
  constexpr std::string_view prefix = "text_model.";
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

}  // namespace

TEST_CASE("text encoders of transformers 5 make the same pictures", "[pipeline][folders]") {
  const auto expected = recorded_picture("sd1");
  const ModelCopy model("sd1");
  SECTION("names without text_model.") {
    model.rename_tensors("text_encoder/model.safetensors", without_prefix);
    CHECK(equal(picture(model.path()), expected));
  }
  SECTION("the tokenizer in one file") {
    json tokenizer{{"version", "1.0"}, {"added_tokens", json::array()}};
    json merges = json::array();
    std::istringstream lines(test::read_file(model / "tokenizer/merges.txt"));
    for (std::string line; std::getline(lines, line);)
      if (const auto space = line.find(' '); space != line.npos && !line.starts_with("#"))
        merges.push_back(json::array({line.substr(0, space), line.substr(space + 1)}));
    tokenizer["model"] = {{"type", "BPE"}, {"end_of_word_suffix", "</w>"}, {"merges", merges}};
    tokenizer["model"]["vocab"] = model.read("tokenizer/vocab.json");
    for (const auto* file : {"vocab.json", "merges.txt", "special_tokens_map.json"})
      model.remove(std::string("tokenizer/") + file);
    model.write("tokenizer/tokenizer.json", tokenizer.dump());
    CHECK(equal(picture(model.path()), expected));
  }
  SECTION("a whole CLIP in the place of its text encoder") {
    json config = model.read("text_encoder/config.json");
    model.write("text_encoder/config.json", json{{"architectures", json::array({"CLIPModel"})},
                                                 {"model_type", "clip"},
                                                 {"text_config", config},
                                                 {"vision_config", json::object()},
                                                 {"projection_dim", 7}}
                                                .dump());
    CHECK(equal(picture(model.path()), expected));
  }
}

TEST_CASE("classes that only the index names", "[pipeline][folders]") {
  const auto expected = recorded_picture("sd1");
  const ModelCopy model("sd1");
  const auto erase = [&](const std::string& file, const char* key) {
    model.edit(file, [&](json& config) { config.erase(key); });
  };
  SECTION("no architectures") {
    erase("text_encoder/config.json", "architectures");
  }
  SECTION("null architectures") {
    model.set("text_encoder/config.json", {{"architectures", nullptr}});
  }
  SECTION("another architecture") {
    model.set("text_encoder/config.json", {{"architectures", json::array({"CLIPModel"})}});
  }
  SECTION("no class of the autoencoder") {
    erase("vae/config.json", "_class_name");
  }
  SECTION("no class of the U-Net") {
    erase("unet/config.json", "_class_name");
  }
  SECTION("no class of the scheduler") {
    erase("scheduler/scheduler_config.json", "_class_name");
  }
  SECTION("another class of the scheduler") {
    model.set("scheduler/scheduler_config.json", {{"_class_name", "DDIMScheduler"}});
  }
  CHECK(equal(picture(model.path()), expected));
}

TEST_CASE("parts that lie beside the index", "[pipeline][folders]") {
  SECTION("all of a pixel model's") {
    const auto expected = recorded_picture("ddpm");
    const ModelCopy model("ddpm");
    for (const auto* file : {"config.json", "diffusion_pytorch_model.safetensors"})
      model.move(std::string("unet/") + file, file);
    model.move("scheduler/scheduler_config.json", "scheduler_config.json");
    model.remove("unet");
    model.remove("scheduler");
    CHECK(equal(picture(model.path()), expected));
  }
  SECTION("some of Stable Diffusion's") {
    const auto expected = recorded_picture("sd1");
    const ModelCopy model("sd1");
    const std::string part = GENERATE("unet", "vae", "text_encoder", "tokenizer", "scheduler");
    INFO(part);
    for (const auto& entry : fs::directory_iterator(model / part))
      fs::rename(entry.path(), model / entry.path().filename().string());
    model.remove(part);
    CHECK(equal(picture(model.path()), expected));
  }
  SECTION("weights of two parts side by side are told apart by their names") {
    const ModelCopy model("sd1");
    model.move("unet/config.json", "config.json");
    model.remove("unet");
    fs::copy_file(model / "text_encoder/model.safetensors", model / "model.safetensors");
    expect_error<FileError>([&] { load(model.path()); },
                            {"\"model.safetensors\"", "diffusion_pytorch_model."});
  }
}

TEST_CASE("an index must name what the pipeline needs", "[pipeline][folders]") {
  const ModelCopy model("sd1");
  for (const auto* part : {"text_encoder", "tokenizer", "unet", "vae", "scheduler"}) {
    const json before = model.read("model_index.json");
    for (const auto& nothing : {json(), json::array({nullptr, nullptr})}) {
      model.set("model_index.json", {{part, nothing}});
      expect_error<ConfigError>(
          [&] { load(model.path()); },
          {"model_index.json", std::string("\"") + part + "\"", "StableDiffusionPipeline needs"});
    }
    model.edit("model_index.json", [&](json& index) { index.erase(part); });
    expect_error<ConfigError>([&] { load(model.path()); },
                              {"model_index.json", std::string("\"") + part + "\""});
    model.write("model_index.json", before.dump());
  }
  // What it does without may be null, absent, or there.
  model.edit("model_index.json", [](json& index) {
    for (const auto* part :
         {"safety_checker", "feature_extractor", "image_encoder", "requires_safety_checker"})
      index.erase(part);
  });
  const auto expected = recorded_picture("sd1");
  CHECK(equal(picture(model.path()), expected));
  model.set("model_index.json", {{"safety_checker", {"stable_diffusion", "StableDiffusionSafetyChecker"}},
                                 {"feature_extractor", {"transformers", "CLIPFeatureExtractor"}},
                                 {"image_encoder", nullptr}});
  CHECK(equal(picture(model.path()), expected));
  std::string log;
  load(model.path(), [&](LogLevel, std::string_view line) { log += std::string(line) + "\n"; });
  CHECK(log.find("safety_checker is not run") != std::string::npos);
}

TEST_CASE("classes of pipelines", "[pipeline][folders]") {
  SECTION("the old one for inpainting is the new one") {
    const ModelCopy model("sd1");
    model.set("model_index.json", {{"_class_name", "StableDiffusionInpaintPipelineLegacy"}});
    CHECK(equal(picture(model.path()), recorded_picture("sd1")));
  }
  SECTION("DDIM and PNDM turn any scheduler into theirs") {
    for (const auto& [pipeline, scheduler] :
         {std::pair{"DDIMPipeline", "DDIMScheduler"}, std::pair{"PNDMPipeline", "PNDMScheduler"}}) {
      INFO(pipeline);
      const ModelCopy as_ddpm("ddpm"), as_own("ddpm");
      as_ddpm.set("model_index.json", {{"_class_name", pipeline}});
      as_own.set("model_index.json", {{"scheduler", json::array({"diffusers", scheduler})}});
      CHECK(equal(picture(as_ddpm.path()), picture(as_own.path())));
      CHECK_FALSE(equal(picture(as_ddpm.path()), recorded_picture("ddpm")));
    }
  }
  SECTION("others are refused with those there are") {
    const ModelCopy model("sd1");
    model.set("model_index.json", {{"_class_name", "StableDiffusionPipelineSafe"}});
    expect_error<ConfigError>([&] { load(model.path()); },
                              {"\"StableDiffusionPipelineSafe\" is not supported",
                               "StableDiffusionPipeline, ", "DDIMPipeline", "PNDMPipeline"});
  }
}

TEST_CASE("old files say a size that the models were not trained at", "[pipeline][folders]") {
  const ModelCopy model("sd1");
  const auto size_of = [&](const char* version, json sample_size = 16) {
    model.set("unet/config.json", {{"_diffusers_version", version}, {"sample_size", sample_size}});
    return load(model.path()).info().width;
  };
  const Index downscale = 2;
  CHECK(size_of("0.31.0") == 16 * downscale);
  for (const auto* old : {"0.4.2", "0.6.0.dev0", "0.8.1", "0.8"}) {
    INFO(old);
    CHECK(size_of(old) == 64 * downscale);
    CHECK(size_of(old, 96) == 96 * downscale);
  }
  for (const auto* newer : {"0.9.0.dev0", "0.9.0", "0.10.2", "1.0.0", "nonsense", "0", ""}) {
    INFO(newer);
    CHECK(size_of(newer) == 16 * downscale);
  }
  // A model of pixels is as it says.
  const ModelCopy pixels("ddpm");
  pixels.set("unet/config.json", {{"_diffusers_version", "0.4.2"}});
  CHECK(load(pixels.path()).info().width == 16);
}

TEST_CASE("parts that do not fit each other are told with both files", "[pipeline][folders]") {
  const ModelCopy model("sd1");
  const auto misfit = [&](std::initializer_list<std::string_view> parts) {
    expect_error<ConfigError>([&] { load(model.path()); }, {"the parts do not fit each other"});
    expect_error<ConfigError>([&] { load(model.path()); }, parts);
  };
  const std::string unet = (model / "unet/config.json").string(), vae = (model / "vae/config.json").string(),
                    text = (model / "text_encoder/config.json").string(),
                    scheduler = (model / "scheduler/scheduler_config.json").string();
  SECTION("the width of the prompt's states") {
    model.set("unet/config.json", {{"cross_attention_dim", 24}});
    misfit({"hidden_size in " + text + " is 16", "cross_attention_dim in " + unet + " is 24"});
  }
  SECTION("latents in") {
    model.set("unet/config.json", {{"in_channels", 5}});
    misfit({"in_channels in " + unet + " is 5", "latent_channels in " + vae + " is 4", "expected 4, or 9"});
  }
  SECTION("latents out") {
    model.set("vae/config.json", {{"latent_channels", 3}});
    model.set("unet/config.json", {{"in_channels", 7}});
    misfit({"out_channels in " + unet + " is 4", "latent_channels in " + vae + " is 3", "expected 3, or 6"});
  }
  SECTION("windows longer than there are positions") {
    model.set("text_encoder/config.json", {{"max_position_embeddings", 16}});
    misfit({(model / "tokenizer/vocab.json").string(), "windows of 77",
            "max_position_embeddings in " + text + " is 16"});
  }
  SECTION("tokens that every prompt has") {
    model.set("text_encoder/config.json", {{"vocab_size", 633}});
    misfit({"the tokenizer has 634 tokens (" + (model / "tokenizer/vocab.json").string() + ")",
            "633 rows (vocab_size in " + text, "the end token"});
  }
  SECTION("a variance that a scheduler learns") {
    const ModelCopy pixels("ddpm");
    pixels.set("scheduler/scheduler_config.json", {{"variance_type", "learned_range"}});
    expect_error<ConfigError>([&] { load(pixels.path()); },
                              {"variance_type in " + (pixels / "scheduler/scheduler_config.json").string(),
                               (pixels / "unet/config.json").string(), "3 channels in and 3 out"});
  }
}

TEST_CASE("a token without a row in the text encoder", "[pipeline][folders]") {
  const ModelCopy model("sd1");
  model.write("tokenizer/added_tokens.json", R"({"<sks>": 634})");
  std::vector<std::string> warnings;
  const auto pipe = load(model.path(), [&](LogLevel level, std::string_view line) {
    if (level == LogLevel::warning) warnings.emplace_back(line);
  });
  const std::string files = (model / "tokenizer/vocab.json").string() + " and added_tokens.json",
                    rows = "634 rows (vocab_size in " + (model / "text_encoder/config.json").string();
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("635 tokens (" + files) != std::string::npos);
  CHECK(warnings[0].find(rows) != std::string::npos);

  Request order;
  order.sampling.steps = 2;
  order.size.width = order.size.height = 16;
  order.prompt = "a cat";
  CHECK(pipe.generate(order).images.size() == 1);
  order.prompt = "a <sks> cat";
  expect_error<ArgumentError>(
      [&] { pipe.generate(order); },
      {"the prompt has the token \"<sks>\", number 634", "635 tokens (" + files, rows});
  order.prompt = "a cat";
  order.negative_prompt = "<sks>";
  expect_error<ArgumentError>([&] { pipe.generate(order); }, {"the negative prompt has the token \"<sks>\""});
  order.guidance.scale = 1.0f;  // which leaves the negative prompt out
  CHECK(pipe.generate(order).images.size() == 1);
}

TEST_CASE("the picture's settings name the model", "[pipeline][folders]") {
  const ModelCopy model("sd1");
  Request order;
  order.sampling.steps = 1;
  order.sampling.sampler = "ddim";
  order.size.width = order.size.height = 16;
  for (const auto* ending : {"", "/", "/.", "/unet/.."}) {
    const auto made = load(model.path().string() + ending).generate(order);
    const auto parameters = parse_infotext(made.infotexts.at(0)).parameters;
    INFO(made.infotexts[0]);
    CHECK(std::count(parameters.begin(), parameters.end(),
                     std::pair<std::string, std::string>("Model", "sd1")) == 1);
  }
}
