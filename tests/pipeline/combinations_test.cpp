#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daguerre/ops/engine.hpp"
#include "daguerre/pipeline/embedding.hpp"
#include "daguerre/pipeline/other_autoencoder.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "daguerre/weights/adapter_file.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

/// One of what people add to a model, as a change of a request.
struct Addition {
  std::string name;
  std::function<void(Request&)> add;
};

/// A LoRA on the keys of all the U-Net's attentions.
std::shared_ptr<const Lora> lora_for(const std::filesystem::path& model) {
  const auto state = weights::StateDict::load(model / "unet");
  weights::SafetensorsWriter writer;
  unsigned seed = 100;
  for (const auto& name : state.names()) {
    constexpr std::string_view ending = "to_k.weight";
    if (!name.ends_with(ending)) continue;
    const auto shape = state.shape(name);
    auto key = "lora_unet_" + name.substr(0, name.size() - std::string_view(".weight").size());
    std::replace(key.begin(), key.end(), '.', '_');
    writer.add(key + ".lora_down.weight", random_tensor({2, shape[1]}, ++seed, 0.5f));
    writer.add(key + ".lora_up.weight", random_tensor({shape[0], 2}, ++seed, 0.5f));
  }
  const auto bytes = std::make_shared<const std::vector<std::byte>>(writer.to_bytes());
  const weights::StateDict tensors({weights::SafetensorsFile::from_memory(bytes, "keys")});
  return std::make_shared<const Lora>("keys", weights::AdapterFile(tensors));
}

Image coloured(Index width, Index height, int shift) {
  Image image(width, height, 3);
  int number = shift;
  for (auto& value : image.pixels()) value = static_cast<std::uint8_t>((number += 37) % 256);
  return image;
}

/// White on the right.
Image half_mask(Index width, Index height) {
  Image mask(width, height, 1);
  for (Index i = 0; i < width * height; ++i)
    mask.pixels()[static_cast<std::size_t>(i)] = i % width >= width / 2 ? 255 : 0;
  return mask;
}

/// A model with all that can be added to it.
class Tried {
 public:
  Tried(const std::string& family, const std::string& adapter_file, std::vector<Index> widths)
      : folder_(golden("pipelines/" + family)), plain_(load(Precision::float32)), widths_(std::move(widths)) {
    const auto lora = lora_for(folder_);
    const auto control = plain_.load_control(golden("pipelines/" + family + "_controlnet") / "controlnet");
    const auto adapters = golden("adapters/ip_adapter_" + family);
    const auto adapter = plain_.load_ip_adapter(adapters / adapter_file,
                                                plain_.load_image_encoder(adapters / "image_encoder"));
    std::map<std::string, Tensor<float>, std::less<>> vectors;
    const char* const parts[] = {"clip_l", "clip_g"};
    for (std::size_t i = 0; i < widths_.size(); ++i)
      vectors.emplace(widths_.size() == 1 ? "" : parts[i], random_tensor({2, widths_[i]}, 5, 0.3f));
    const auto embedding = std::make_shared<const Embedding>("zorb", std::move(vectors));
    const auto preview = load_autoencoder(golden("pipelines/sd1_taesd") / "vae", {.threads = 1});
    additions_ = {
        {"LoRA",
         [=](Request& request) {
           request.loras = {{lora, 0.8f, {}}};
         }},
        {"ControlNet",
         [=](Request& request) {
           ControlUse use;
           use.control = control;
           use.image = coloured(24, 16, 3);
           request.controls = {use};
         }},
        {"IP-Adapter",
         [=](Request& request) {
           request.image_prompts = {{.adapter = adapter, .images = {coloured(40, 32, 9)}, .scale = 0.7f}};
         }},
        {"textual inversion",
         [=](Request& request) {
           request.embeddings = {embedding};
           request.prompt += " zorb";
         }},
        {"weighted prompt",
         [=](Request& request) {
           request.prompt_syntax = PromptSyntax::a1111;
           request.prompt = "(a cat:1.4) on" + request.prompt.substr(std::string("a cat on").size());
         }},
        {"inpainting",
         [=](Request& request) {
           request.input.image = coloured(24, 16, 1);
           request.input.mask = half_mask(24, 16);
           request.input.inpainting.mask_blur = 1.0;
           request.input.inpainting.keep_unmasked = true;
         }},
        {"hires", [=](Request& request) { request.hires = Hires{.scale = 1.5, .strength = 0.6}; }},
        {"preview",
         [=](Request& request) {
           request.output.preview = preview;
           request.on_step = [](const Step& step) { return !step.decode(0).empty(); };
         }},
    };
  }

  Pipeline load(Precision precision) const {
    return Pipeline::load(folder_, {.precision = precision, .threads = 1});
  }
  static Request plain_request() {
    Request request{.prompt = "a cat on a red carpet",
                    .size = {.width = 24, .height = 16},
                    .sampling = {.steps = 2, .seed = 7, .sampler = "ddim"}};
    request.output.count = 2;
    return request;
  }
  /// Runs each pair, and each addition alone, on `pipeline`.
  void try_all(const Pipeline& pipeline) const {
    const auto before = pipeline.generate(plain_request());
    for (std::size_t i = 0; i < additions_.size(); ++i)
      for (std::size_t k = i; k < additions_.size(); ++k) {
        INFO(folder_.filename().string() << ": " << additions_[i].name << " and " << additions_[k].name);
        auto request = plain_request();
        additions_[i].add(request);
        if (k != i) additions_[k].add(request);
        const auto both = pipeline.generate(request);
        REQUIRE(both.images.size() == 2);
        request.output.count = 1;
        request.sampling.seed = 8;  // the second of the batch by itself
        const auto alone = pipeline.generate(request);
        CHECK(std::ranges::equal(both.images[1].pixels(), alone.images.front().pixels()));
        const bool only_shows = additions_[i].name == "preview" && i == k;
        CHECK(std::ranges::equal(both.latents.span(), before.latents.span()) == only_shows);
      }
    const auto after = pipeline.generate(plain_request());
    CHECK(std::ranges::equal(before.latents.span(), after.latents.span()));
    for (std::size_t n = 0; n < 2; ++n)
      CHECK(std::ranges::equal(before.images[n].pixels(), after.images[n].pixels()));
  }
  const Pipeline& plain() const noexcept { return plain_; }

 private:
  std::filesystem::path folder_;
  Pipeline plain_;
  std::vector<Index> widths_;
  std::vector<Addition> additions_;
};

Tried sd1() {
  return {"sd1", "ip-adapter_sd15.safetensors", {16}};
}
Tried sdxl() {
  return {"sdxl", "ip-adapter_sdxl_vit-h.safetensors", {12, 16}};
}

}  // namespace

TEST_CASE("whatever is added to Stable Diffusion works beside anything else and goes without a trace",
          "[pipeline][combinations]") {
  const auto tried = sd1();
  tried.try_all(tried.plain());
}

TEST_CASE("the same of SDXL", "[pipeline][combinations]") {
  const auto tried = sdxl();
  tried.try_all(tried.plain());
}

TEST_CASE("the same in 8 bits", "[pipeline][combinations][int8]") {
  if (ops::engine_names().front() != "onednn") return;
  const auto tried = sd1();
  tried.try_all(tried.load(Precision::int8));
}
