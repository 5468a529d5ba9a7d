#include "daguerre/weights/inspect.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "daguerre/core/error.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using weights::DType;
using Kind = weights::ModelDescription::Kind;

namespace {

std::string file_with(const std::vector<std::string>& names) {
  weights::SafetensorsWriter writer;
  for (const auto& name : names) writer.add(name, Tensor<float>::zeros({2, 3}));
  const auto bytes = writer.to_bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

TEST_CASE("a recorded model folder is described", "[weights][inspect][golden]") {
  const auto model = weights::inspect(test::golden("pipelines/sd1"));
  CHECK(model.kind == Kind::model_folder);
  CHECK(model.class_name == "StableDiffusionPipeline");
  std::vector<std::string> found;
  for (const auto& component : model.components) {
    found.push_back(component.name + " " + component.class_name);
    INFO(component.name << ": " << component.problem);
    CHECK(component.problem.empty());
    CHECK_FALSE(component.class_guessed);
    const bool has_weights = component.name != "scheduler" && component.name != "tokenizer";
    CHECK(component.files.size() == (has_weights ? 1 : 0));
    CHECK((component.parameters > 0) == has_weights);
    std::size_t counted = 0;
    for (const auto& [dtype, count] : component.dtype_counts) counted += count;
    CHECK(counted == component.tensors.size());
  }
  for (const std::string part :
       {"unet UNet2DConditionModel", "vae AutoencoderKL", "text_encoder CLIPTextModel"}) {
    INFO(part);
    CHECK(std::count(found.begin(), found.end(), part) == 1);
  }
}

TEST_CASE("the class of a lone file is guessed from its names", "[weights][inspect][golden]") {
  const auto sd1 = test::golden("pipelines/sd1");
  for (const auto& [component, expected] : std::vector<std::pair<std::string, std::string>>{
           {"unet", "UNet2DConditionModel"}, {"vae", "AutoencoderKL"}, {"text_encoder", "CLIPTextModel"}}) {
    const auto folder = weights::inspect(sd1 / component);
    CHECK(folder.kind == Kind::component_folder);
    REQUIRE(folder.components.size() == 1);
    CHECK(folder.components[0].class_name == expected);
    CHECK_FALSE(folder.components[0].class_guessed);
    const auto file = weights::inspect(folder.components[0].files.at(0));
    CHECK(file.kind == Kind::safetensors_file);
    CHECK(file.components[0].class_name == expected);
    CHECK(file.components[0].class_guessed);
    CHECK(file.components[0].parameters == folder.components[0].parameters);
  }
  for (const auto& [file, expected] : std::vector<std::pair<std::string, std::string>>{
           {"unet/ddpm_uncond", "UNet2DModel"},
           {"dit/dit", "DiTTransformer2DModel"},
           {"dit/dit_original", "DiT in the original layout"},
           {"dit/flux_dev", "FluxTransformer2DModel"},
           {"dit/sd3", "SD3Transformer2DModel"},
           {"dit/pixart_sigma", "PixArtTransformer2DModel"},
           {"text/t5_v1_1", "T5EncoderModel"},
           {"dit/flux_schnell_original", "FluxTransformer2DModel in the original layout"},
           {"dit/sd35_large_original", "SD3Transformer2DModel in the original layout"}}) {
    const auto model = weights::inspect(test::golden(file) / "weights.safetensors");
    CHECK(model.components.at(0).class_name == expected);
  }
  CHECK(weights::inspect(test::golden("gguf/t5_encoder/model.gguf")).components.at(0).class_name ==
        "T5EncoderModel under llama.cpp's names");
  const test::TempFolder folder;
  const auto guess = [&](const std::string& name) {
    return weights::inspect(folder.write("x.safetensors", file_with({name}))).components.at(0).class_name;
  };
  CHECK(guess("model.diffusion_model.input_blocks.0.0.weight") == "CompVis checkpoint");
  CHECK(guess("lora_unet_mid_block_attentions_0_proj_in.lora_down.weight") == "LoRA");
  CHECK(guess("unet.down_blocks.0.attentions.0.to_k.lora_A.weight") == "LoRA");
  CHECK(guess("unet.mid_block.attn1.to_k.lora.down.weight") == "LoRA");
  CHECK(guess("unet.mid_block.attn1.processor.to_k_lora.down.weight") == "LoRA");
  CHECK(guess("embeddings.token_embedding.weight") == "CLIPTextModel");
  CHECK(guess("conv_in.weight") == "unknown");
  CHECK(guess("blora_down") == "unknown");
}

TEST_CASE("tensors, types, parameters and bytes are counted over shards", "[weights][inspect]") {
  const test::TempFolder folder;
  weights::SafetensorsWriter writer;
  writer.add("h", Tensor<half>::full({5}, half(0.0f)));
  writer.add("scalar", Tensor<float>::zeros({}));
  writer.save(folder / "1.safetensors");
  folder.write("2.safetensors", file_with({"f"}));
  const auto index = folder.write("model.safetensors.index.json",
                                  R"({"weight_map": {"h": "1.safetensors", "f": "2.safetensors"}})");
  const auto model = weights::inspect(index);
  CHECK(model.kind == Kind::sharded_index);
  REQUIRE(model.components.size() == 1);
  const auto& component = model.components[0];
  CHECK(component.files.size() == 2);
  CHECK(component.tensors.size() == 3);
  CHECK(component.dtype_counts == std::map<DType, std::size_t>{{DType::f16, 1}, {DType::f32, 2}});
  CHECK(component.parameters == 5 + 1 + 6);
  CHECK(component.bytes == 10 + 4 + 24);
}

TEST_CASE("what is wrong in a model folder is told with the component", "[weights][inspect]") {
  const test::TempFolder folder;
  folder.write("model_index.json",
               R"({"_class_name": "P", "requires_safety_checker": false, "unet": ["diffusers", "U"],
      "vae": ["diffusers", "V"], "safety_checker": [null, null], "gone": ["diffusers", "G"],
      "scheduler": ["diffusers", "S"], "labels": {"0": "a"}})");
  folder.write("unet/config.json", R"({"_class_name": "U2"})");
  folder.write("unet/diffusion_pytorch_model.bin", "\x80\x02");
  folder.write("vae/config.json", R"({"a": 1})");
  folder.write("vae/diffusion_pytorch_model.safetensors", file_with({"x"}));
  folder.write("scheduler/scheduler_config.json", "{}");
  const auto model = weights::inspect(folder.path());
  CHECK(model.class_name == "P");
  REQUIRE(model.components.size() == 4);
  const auto find = [&](const std::string& name) {
    return *std::find_if(model.components.begin(), model.components.end(),
                         [&](const auto& component) { return component.name == name; });
  };
  CHECK(find("unet").class_name == "U2");
  CHECK(find("unet").problem.find("Python pickle") != std::string::npos);
  CHECK(find("gone").problem.find("no such folder") != std::string::npos);
  CHECK(find("vae").class_name == "V");
  CHECK(find("vae").parameters == 6);
  CHECK(find("scheduler").class_name == "S");
  CHECK(find("scheduler").problem.empty());

  // Parts beside the index: those of its class, and what has a file of its own name.
  folder.write("model_index.json", R"({"_class_name": "P", "unet": ["diffusers", "UModel"],
      "text": ["transformers", "TModel"], "scheduler": ["diffusers", "DScheduler"],
      "tokenizer": ["transformers", "KTokenizer"]})");
  std::filesystem::remove_all(folder / "unet");
  std::filesystem::remove_all(folder / "scheduler");
  folder.write("config.json", R"({"_class_name": "UModel"})");
  folder.write("scheduler_config.json", "{}");
  folder.write("diffusion_pytorch_model.safetensors", file_with({"x"}));
  folder.write("model.safetensors", file_with({"y"}));
  const auto root = weights::inspect(folder.path());
  REQUIRE(root.components.size() == 4);
  for (const auto& component : root.components) {
    INFO(component.name << ": " << component.problem);
    const bool there = component.name == "unet" || component.name == "scheduler";
    CHECK(component.problem.empty() == there);
    CHECK(component.files.size() == (component.name == "unet" ? 1 : 0));
    if (component.name == "unet") CHECK(component.tensors.at(0).name == "x");
  }

  folder.write("model_index.json", R"({"../elsewhere": ["diffusers", "U"]})");
  test::expect_error<FormatError>([&] { weights::inspect(folder.path()); },
                                  {"model_index.json", "component \"../elsewhere\""});
  folder.write("model_index.json", "[]");
  test::expect_error<FormatError>([&] { weights::inspect(folder.path()); }, {"expected a JSON object"});
  test::expect_error<FileError>([&] { weights::inspect(folder / "none"); }, {"none"});
}
