// Numbers that are not finite are found, and where they come from is said.
#include <limits>

#include "daguerre/ops/engine.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/guest.hpp"

using namespace daguerre;
using namespace daguerre::test;
namespace fs = std::filesystem;

namespace {

/// A weight of a recorded pipeline.
struct Weight {
  const char* model;
  const char* component;
  const char* tensor;
};

/// A copy of the model in `folder` with another value at the front of that tensor.
void copy_spoiled(const Weight& weight, float value, const fs::path& folder) {
  fs::copy(golden(std::string("pipelines/") + weight.model), folder, fs::copy_options::recursive);
  auto file = folder / weight.component / "model.safetensors";
  if (!fs::exists(file)) file = folder / weight.component / "diffusion_pytorch_model.safetensors";
  weights::SafetensorsWriter writer;
  bool found = false;
  {
    const auto original = weights::SafetensorsFile::open(file);
    for (const auto& info : original.tensors()) {
      auto tensor = original.read<float>(info.name).clone();
      if (info.name == weight.tensor) {
        tensor.data()[0] = value;
        found = true;
      }
      writer.add(info.name, tensor);
    }
  }
  REQUIRE(found);
  writer.save(file);
}

void make_picture(const fs::path& model, const std::string& engine) {
  const auto pipe = Pipeline::load(model, {.precision = Precision::float32, .engine = engine, .threads = 1});
  Request order;
  order.sampling.steps = 2;
  if (fs::exists(model / "tokenizer")) order.prompt = "a cat";
  if (fs::exists(model / "transformer")) order.class_labels = {0};
  (void)pipe.generate(order);
}

}  // namespace

TEST_CASE("weights that are not finite are named", "[guest]") {
  for (const auto& weight :
       {Weight{"sd1", "unet", "conv_out.bias"}, Weight{"sd1", "vae", "decoder.conv_in.weight"},
        Weight{"sd1", "text_encoder", "text_model.final_layer_norm.weight"},
        Weight{"dit", "transformer", "proj_out_2.bias"}, Weight{"dit", "vae", "decoder.conv_out.bias"},
        Weight{"ddpm", "unet", "conv_in.weight"}})
    for (const float value :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      INFO(weight.model << ", " << weight.component << ", " << value);
      const TempFolder folder;
      copy_spoiled(weight, value, folder / "model");
      for (const auto& engine : ops::engine_names())
        expect_error<NumericError>([&] { make_picture(folder / "model", engine); },
                                   {"[" + std::string(weight.component) + "]", weight.tensor,
                                    (folder / "model" / weight.component).string()});
    }
}

TEST_CASE("finite weights whose activations overflow: the network is named", "[guest]") {
  for (const auto& weight :
       {Weight{"sd1", "unet", "conv_in.weight"}, Weight{"sd1", "vae", "decoder.conv_in.weight"},
        Weight{"sd1", "text_encoder", "text_model.encoder.layers.0.mlp.fc1.weight"},
        Weight{"dit", "transformer", "pos_embed.proj.weight"}}) {
    INFO(weight.model << ", " << weight.component);
    const TempFolder folder;
    copy_spoiled(weight, std::numeric_limits<float>::max(), folder / "model");
    for (const auto& engine : ops::engine_names()) {
      std::string text;
      try {
        make_picture(folder / "model", engine);
      } catch (const NumericError& error) {
        text = error.what();
      }
      CHECK(text.starts_with("[" + std::string(weight.component) + "]"));
      CHECK(text.find("at fault") == std::string::npos);
    }
  }
}
