// Stable Diffusion 3, FLUX.1 and PixArt as a host sees them.
#include <nlohmann/json.hpp>

#include "daguerre/daguerre.hpp"
#include "daguerre/pipeline/model.hpp"
#include "daguerre/pipeline/model_source.hpp"
#include "daguerre/samplers/registry.hpp"
#include "pipeline/plan.hpp"
#include "pipeline/reference_size.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/model_copy.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

LoadOptions tiny() {
  return {.precision = Precision::float32, .threads = 1};
}

Pipeline load_tiny(const std::string& name) {
  return Pipeline::load(golden("pipelines/" + name), tiny());
}

/// A recorded folder as another pipeline class, with the transformer of a third folder where that is given.
ModelSource as_class(const std::string& name, const std::string& class_name,
                     const std::string& transformer = {}) {
  const auto base = ModelSource::open_folder(golden("pipelines/" + name));
  ModelSource result(name, base.index().with(nlohmann::json{{"_class_name", class_name}}.dump()));
  for (const auto* part :
       {"scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "transformer", "vae"})
    result = result.with(base.part(part));
  if (transformer.empty()) return result;
  auto other = base.part("transformer");
  other.folder = golden("pipelines/" + transformer) / "transformer";
  return result.with(other);
}

Request order(const std::string& prompt = "a photograph of an astronaut riding a horse on mars") {
  Request request;
  request.prompt = prompt;
  request.size = {.width = 16, .height = 24};
  request.sampling.steps = 2;
  request.output.decoded = true;
  return request;
}

Image grey(Index width, Index height) {
  Image image(width, height, 3);
  return image;
}

double apart(const Result& a, const Result& b) {
  return difference(a.decoded, b.decoded).rel_l2;
}

}  // namespace

TEST_CASE("the defaults are those of the models' cards", "[pipeline][flow]") {
  const auto sd3 = load_tiny("sd3").info();
  CHECK(sd3.family == "sd3");
  CHECK(sd3.steps == 28);
  CHECK(sd3.guidance_scale == 7.0f);
  CHECK(sd3.tasks == std::vector<std::string>{"txt2img", "img2img", "inpaint"});
  const auto dev = load_tiny("flux_dev").info(), schnell = load_tiny("flux_schnell").info();
  CHECK(dev.steps == 50);
  CHECK(dev.guidance_scale == 3.5f);
  CHECK(dev.takes_guidance);
  CHECK(schnell.steps == 4);
  CHECK_FALSE(schnell.takes_guidance);
  CHECK(dev.width == 128 * 2);  // this model's autoencoder halves sides, the published one's takes an eighth
  const auto fill = load_tiny("flux_fill").info();
  CHECK(fill.needs_mask);
  CHECK(fill.tasks == std::vector<std::string>{"inpaint"});
  CHECK(fill.guidance_scale == 30.0f);
  const auto kontext = Pipeline::load(as_class("flux_dev", "FluxKontextPipeline"), tiny()).info();
  CHECK(kontext.tasks == std::vector<std::string>{"edit", "txt2img"});
  CHECK(kontext.takes_image);
  CHECK_FALSE(kontext.needs_image);
  const auto control =
      Pipeline::load(as_class("flux_dev", "FluxControlPipeline", "flux_control"), tiny()).info();
  CHECK(control.tasks == std::vector<std::string>{"control"});
  CHECK(control.needs_image);
  const auto alpha = load_tiny("pixart_alpha").info();
  CHECK(alpha.steps == 20);
  CHECK(alpha.guidance_scale == 4.5f);
}

TEST_CASE("what a host orders is what was recorded", "[pipeline][flow]") {
  const auto matches = [](const std::string& folder, const std::string& run, Request request) {
    const auto recorded =
        weights::SafetensorsFile::open(golden("pipelines/" + folder) / "runs" / (run + ".safetensors"));
    request.sampling.noise = channels_last(recorded, "in.latents");
    const auto decoded = load_tiny(folder).generate(request).decoded;
    // Pictures are recorded in [0, 1], channels last.
    auto picture = recorded.read<float>("out.image");
    for (float& value : picture.span()) value = 2.0f * value - 1.0f;
    auto clamped = decoded;
    for (float& value : clamped.span()) value = std::clamp(value, -1.0f, 1.0f);
    INFO(folder << ", " << run);
    CHECK(difference(clamped, picture).rel_l2 <= 1e-4);
  };
  auto request = order();
  request.negative_prompt = "ugly, blurry, low quality";
  request.max_sequence_length = 24;
  request.sampling.steps = 6;
  request.guidance.scale = 7.0f;
  matches("sd3", "txt2img_flow_euler", request);
  request = order();
  request.max_sequence_length = 20;
  request.sampling.steps = 4;
  request.guidance.scale = 3.5f;
  request.negative_prompt = "ugly, blurry, low quality";
  request.guidance.true_cfg_scale = 4.0f;
  matches("flux_dev", "true_cfg", request);
  request = order("  A Photograph of an astronaut riding a horse on MARS\n");  // lowered and stripped
  request.negative_prompt = "ugly, blurry, low quality";
  request.max_sequence_length = 32;
  request.sampling.steps = 5;
  matches("pixart_alpha", "txt2img_dpmpp", request);
}

TEST_CASE("all that these models are told makes a difference", "[pipeline][flow]") {
  const auto sd3 = load_tiny("sd3");
  const auto plain = sd3.generate(order());
  const auto differs = [&](const Pipeline& pipe, const Result& from, const auto& change) {
    auto request = order();
    change(request);
    return apart(pipe.generate(request), from) > 1e-5;
  };
  CHECK(differs(sd3, plain, [](Request& r) { r.prompt_2 = "a dog"; }));
  CHECK(differs(sd3, plain, [](Request& r) { r.prompt_3 = "a dog"; }));
  CHECK(differs(sd3, plain, [](Request& r) { r.negative_prompt = "a dog"; }));
  CHECK(differs(sd3, plain, [](Request& r) { r.negative_prompt_3 = "a dog"; }));
  CHECK(differs(sd3, plain, [](Request& r) { r.max_sequence_length = 20; }));
  CHECK(differs(sd3, plain, [](Request& r) { r.sampling.sampler = "heun"; }));
  const auto flux = load_tiny("flux_dev");
  const auto made = flux.generate(order());
  CHECK(differs(flux, made, [](Request& r) { r.guidance.scale = 1.0f; }));
  CHECK(differs(flux, made, [](Request& r) { r.prompt_2 = "a dog"; }));
  CHECK(differs(flux, made, [](Request& r) {
    r.guidance.true_cfg_scale = 2.0f;
    r.negative_prompt = "";
  }));
  CHECK_FALSE(differs(flux, made, [](Request& r) { r.max_sequence_length = 512; }));  // the default
}

TEST_CASE("the settings of a distilled model name both guidances", "[pipeline][flow]") {
  const auto text = load_tiny("flux_dev").generate(order()).infotexts.front();
  CHECK(text.find("CFG scale: 1,") != std::string::npos);
  CHECK(text.find("Distilled CFG Scale: 3.5") != std::string::npos);
}

TEST_CASE("what these models do not read is refused", "[pipeline][flow]") {
  const auto flux = load_tiny("flux_dev"), schnell = load_tiny("flux_schnell"), sd3 = load_tiny("sd3");
  const auto refused = [](const Pipeline& pipe, std::initializer_list<std::string_view> parts,
                          const auto& change) {
    auto request = order();
    change(request);
    expect_error<ArgumentError>([&] { pipe.generate(request); }, parts);
  };
  refused(flux, {"negative prompt", "true_cfg_scale above 1"},
          [](Request& r) { r.negative_prompt = "a dog"; });
  refused(flux, {"true_cfg_scale", "needs a negative prompt"},
          [](Request& r) { r.guidance.true_cfg_scale = 3.0f; });
  refused(flux, {"third prompt"}, [](Request& r) { r.prompt_3 = "a dog"; });
  refused(flux, {"rescaling"}, [](Request& r) { r.guidance.rescale = 0.5f; });
  refused(flux, {"max_sequence_length is 513", "1 to 512"}, [](Request& r) { r.max_sequence_length = 513; });
  refused(flux, {"width 18 is not a multiple of 4"}, [](Request& r) { r.size.width = 18; });
  refused(schnell, {"takes no guidance"}, [](Request& r) { r.guidance.scale = 3.5f; });
  refused(sd3, {"a side of 1024", "longer than the", "positions"}, [](Request& r) { r.size.width = 1024; });
  refused(sd3, {"true_cfg_scale"}, [](Request& r) { r.guidance.true_cfg_scale = 2.0f; });
  refused(load_tiny("sd1"), {"max_sequence_length"}, [](Request& r) { r.max_sequence_length = 77; });
  refused(load_tiny("flux_fill"), {"inpainting model", "image and a mask"},
          [](Request& r) { r.size = {.width = 96, .height = 64}; });
  expect_error<ConfigError>(
      [&] {
        auto request = order();
        request.sampling.sampler = "ddim";
        sd3.generate(request);
      },
      {"flow matching", "\"ddim\" is no sampler", "euler", "unipc"});
}

TEST_CASE("the samplers of a model of flow matching are those that it can be sampled with",
          "[pipeline][flow]") {
  const auto sd3 = load_tiny("sd3");
  const auto& names = sd3.info().samplers;
  CHECK(std::find(names.begin(), names.end(), "ddim") == names.end());
  REQUIRE(std::find(names.begin(), names.end(), "euler") != names.end());
  auto many = order();
  many.sampling.steps = 24;
  const auto plain = sd3.generate(many), own = sd3.generate(order());
  for (const auto& name : names) {
    INFO(name);
    auto request = order();
    request.sampling.sampler = name;
    request.sampling.steps = 24;
    const auto made = sd3.generate(request);
    // All go the same way from the noise, in other steps, but for those that add more noise.
    if (name.find("sde") == name.npos) CHECK(difference(made.latents, plain.latents).rel_l2 < 0.2);
  }
  auto request = order();
  request.sampling.sampler = "euler";
  CHECK(apart(sd3.generate(request), own) == 0.0);
}

TEST_CASE("Stable Diffusion 3 goes without T5", "[pipeline][flow]") {
  const ModelCopy copy("sd3");
  copy.set("model_index.json", {{"text_encoder_3", {nullptr, nullptr}}, {"tokenizer_3", {nullptr, nullptr}}});
  copy.remove("text_encoder_3");
  const auto pipe = Pipeline::load(copy.path(), tiny());
  CHECK(apart(pipe.generate(order()), load_tiny("sd3").generate(order())) > 1e-5);
  auto request = order();
  request.max_sequence_length = 20;
  expect_error<ArgumentError>([&] { pipe.generate(request); }, {"max_sequence_length"});
}

TEST_CASE("FLUX without its T5 says what is missing", "[pipeline][flow]") {
  const ModelCopy copy("flux_dev");
  copy.set("model_index.json", {{"text_encoder_2", {nullptr, nullptr}}});
  expect_error<ConfigError>([&] { Pipeline::load(copy.path(), tiny()); },
                            {"there is no \"text_encoder_2\"", "FluxPipeline needs"});
}

TEST_CASE("a text encoder in another's place is told by its widths", "[pipeline][flow]") {
  const ModelCopy copy("sd3");
  std::filesystem::copy(
      copy / "text_encoder_2", copy / "text_encoder",
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  expect_error<ConfigError>(
      [&] { Pipeline::load(copy.path(), tiny()); },
      {"the parts do not fit each other", "the vector of text_encoder is 12", "pooled_projection_dim in"});
}

TEST_CASE("a prompt that T5 reads whole is not lost where CLIP's window ends", "[pipeline][flow]") {
  std::string prompt;
  for (int i = 0; i < 100; ++i) prompt += "a cat ";
  const auto sd3 = load_tiny("sd3");
  CHECK(sd3.generate(order(prompt)).warnings.empty());
  auto request = order(prompt);
  request.max_sequence_length = 20;
  CHECK_FALSE(sd3.generate(request).warnings.empty());
}

TEST_CASE("a picture to look at is scaled to what the model was trained with", "[pipeline][flow]") {
  struct Recorded {
    Extent picture, reference, requested, made;
  };
  // FluxKontextPipeline of diffusers 0.35.2.
  for (const auto& [picture, reference, requested, made] :
       {Recorded{{1024, 1024}, {1024, 1024}, {1024, 1024}, {1024, 1024}},
        {{768, 1344}, {800, 1328}, {768, 1344}, {768, 1344}},
        {{500, 333}, {1248, 832}, {500, 333}, {1248, 832}},
        {{1080, 1920}, {752, 1392}, {1080, 1920}, {768, 1360}},
        {{640, 480}, {1184, 880}, {640, 480}, {1168, 880}},
        {{600, 1200}, {720, 1456}, {600, 1200}, {720, 1440}},
        {{2000, 500}, {1568, 672}, {2000, 500}, {2048, 512}},
        {{511, 770}, {832, 1248}, {511, 770}, {832, 1248}}}) {
    CHECK(reference_size(picture, 16) == reference);
    CHECK(size_like(requested, {1024, 1024}, 16) == made);
  }
  const auto photo = grey(1920, 1080);
  const auto kontext = Pipeline::load(as_class("flux_dev", "FluxKontextPipeline"), tiny());
  auto request = order();
  request.input.image = photo;
  const auto plan = plan_for(request, kontext.model(), {}, nullptr);
  CHECK(plan.task.reference.shape() == Shape{1, 752, 1392, 3});
  CHECK(plan.task.image.empty());
  CHECK(plan.task.width == 16);
  CHECK(size_beside({}, photo, 16, {1024, 1024}) == Extent{768, 1360});
  CHECK(size_beside({.width = 960}, photo, 16, {1024, 1024}) == Extent{528, 960});
  CHECK(size_beside({.width = 512, .height = 512}, photo, 16, {1024, 1024}) == Extent{512, 512});
}
