// Writes a model of a published size with random weights, to measure with:
//
//     make_model CONFIGS OUT [--tokenizer FOLDER] [--t5-tokenizer FOLDER] [--type f32|f16|bf16|q8_0|q4_k|…]
//
// CONFIGS is a folder in diffusers' layout without weights: one of those in tests/tools/models, or the
// configurations of any model that the library knows, of a ControlNet alone, or of a language model (one of
// transformers' folders: config.json, perhaps with tokenizer files, or those of --tokenizer). Which tensors
// there are is asked of the networks themselves. The tokenizer is that of CLIP, the other one T5's, for every
// tokenizer that the model has.
//
// With a type of blocks the denoiser and T5 are GGUF files beside the folders, OUT/transformer.gguf and the
// like, as people have them: FLUX's denoiser under its original names. The other parts are F16 then.

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <daguerre/config/config.hpp>
#include <daguerre/core/error.hpp>
#include <daguerre/models/language/causal_lm.hpp>
#include <daguerre/ops/engine.hpp>
#include <daguerre/pipeline/component_registry.hpp>
#include <daguerre/pipeline/model_source.hpp>
#include <daguerre/weights/random_tensors.hpp>

#include "pipeline/controls/controls.hpp"
#include "weights/gguf_convert.hpp"
#include "weights/tensor_stream.hpp"

namespace {

namespace fs = std::filesystem;
using namespace daguerre;

struct Arguments {
  fs::path configs, out, tokenizer, t5_tokenizer;
  DType type = DType::f16;
};

DType type_called(std::string_view text) {
  for (const auto dtype : {DType::f32, DType::f16, DType::bf16, DType::q4_0, DType::q4_1, DType::q5_0,
                           DType::q5_1, DType::q8_0, DType::q4_k, DType::q5_k, DType::q6_k}) {
    const auto name = daguerre::name(dtype);
    if (std::equal(name.begin(), name.end(), text.begin(), text.end(),
                   [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); }))
      return dtype;
  }
  throw ArgumentError("make_model", "there is no type \"" + std::string(text) + "\"");
}

Arguments parsed(int argc, char** argv) {
  Arguments result;
  std::vector<std::string> places;
  for (int i = 1; i < argc; ++i) {
    const std::string text = argv[i];
    const auto value = [&] {
      if (++i == argc) throw ArgumentError("make_model", text + " needs a value");
      return std::string(argv[i]);
    };
    if (text == "--tokenizer")
      result.tokenizer = value();
    else if (text == "--t5-tokenizer")
      result.t5_tokenizer = value();
    else if (text == "--type")
      result.type = type_called(value());
    else
      places.push_back(text);
  }
  if (places.size() != 2) throw ArgumentError("make_model", "expected CONFIGS and OUT");
  result.configs = places[0];
  result.out = places[1];
  return result;
}

/// Networks are only asked what they read: nothing is packed.
LoadContext asking() {
  return {.compute = {.engine = ops::make_engine("native"),
                      .threads = Threads(available_threads()),
                      .pool = {},
                      .stop = {},
                      .profile = {},
                      .placement = ops::WeightPlacement::mapped}};
}

bool is_text_encoder(std::string_view part) {
  return part.starts_with("text_encoder");
}
/// "tokenizer_2" for "text_encoder_2".
std::string tokenizer_of(std::string_view part) {
  return "tokenizer" + std::string(part.substr(std::string_view("text_encoder").size()));
}

/// Builds the network of a part, which asks its weights for all that it reads.
void ask(const ModelSource& source, const ComponentSource& part) {
  const auto registry = ComponentRegistry::standard();
  if (is_text_encoder(part.name))
    (void)registry.open_text_encoder(part, source.part(tokenizer_of(part.name)), asking()).load(asking());
  else if (part.name == "image_encoder")
    (void)registry
        .open_image_encoder(
            part, source.part(source.find("image_processor") ? "image_processor" : "feature_extractor"),
            asking())
        .load(asking());
  else if (part.name == "vae")
    (void)registry.open_autoencoder(part, asking()).load(asking());
  else
    (void)registry.open_denoiser(part, asking()).load(asking());
}

/// What FLUX's authors call a tensor; several of diffusers' may be rows of one.
std::string original_flux_name(std::string name) {
  static constexpr std::array<std::array<std::string_view, 2>, 20> rules{
      {{"single_transformer_blocks.", "single_blocks."},
       {"transformer_blocks.", "double_blocks."},
       {"time_text_embed.timestep_embedder.linear_1", "time_in.in_layer"},
       {"time_text_embed.timestep_embedder.linear_2", "time_in.out_layer"},
       {"time_text_embed.text_embedder.linear_1", "vector_in.in_layer"},
       {"time_text_embed.text_embedder.linear_2", "vector_in.out_layer"},
       {"time_text_embed.guidance_embedder.linear_1", "guidance_in.in_layer"},
       {"time_text_embed.guidance_embedder.linear_2", "guidance_in.out_layer"},
       {"context_embedder", "txt_in"},
       {"x_embedder", "img_in"},
       {"norm_out.linear", "final_layer.adaLN_modulation.1"},
       {"attn.norm_added_q.weight", "txt_attn.norm.query_norm.scale"},
       {"attn.norm_added_k.weight", "txt_attn.norm.key_norm.scale"},
       {"attn.add_q_proj", "txt_attn.qkv"},
       {"attn.add_k_proj", "txt_attn.qkv"},
       {"attn.add_v_proj", "txt_attn.qkv"},
       {"attn.to_add_out", "txt_attn.proj"},
       {"ff_context.net.0.proj", "txt_mlp.0"},
       {"ff_context.net.2", "txt_mlp.2"},
       {"norm1_context.linear", "txt_mod.lin"}}};
  static constexpr std::array<std::array<std::string_view, 2>, 9> double_rules{
      {{"attn.norm_q.weight", "img_attn.norm.query_norm.scale"},
       {"attn.norm_k.weight", "img_attn.norm.key_norm.scale"},
       {"attn.to_q", "img_attn.qkv"},
       {"attn.to_k", "img_attn.qkv"},
       {"attn.to_v", "img_attn.qkv"},
       {"attn.to_out.0", "img_attn.proj"},
       {"ff.net.0.proj", "img_mlp.0"},
       {"ff.net.2", "img_mlp.2"},
       {"norm1.linear", "img_mod.lin"}}};
  static constexpr std::array<std::array<std::string_view, 2>, 8> single_rules{
      {{"attn.norm_q.weight", "norm.query_norm.scale"},
       {"attn.norm_k.weight", "norm.key_norm.scale"},
       {"attn.to_q", "linear1"},
       {"attn.to_k", "linear1"},
       {"attn.to_v", "linear1"},
       {"proj_mlp", "linear1"},
       {"proj_out", "linear2"},
       {"norm.linear", "modulation.lin"}}};
  const auto apply = [&](const auto& all) {
    for (const auto& [from, to] : all)
      if (const auto at = name.find(from); at != name.npos) {
        name.replace(at, from.size(), to);
        return;
      }
  };
  apply(rules);
  if (name.starts_with("double_blocks.")) {
    const auto before = name;
    apply(rules);  // the part behind the block's number
    if (name == before) apply(double_rules);
  } else if (name.starts_with("single_blocks.")) {
    apply(single_rules);
  } else if (name.starts_with("proj_out")) {
    name.replace(0, std::string_view("proj_out").size(), "final_layer.linear");
  }
  return name;
}

using Tensors = std::vector<weights::StreamedTensor>;

Tensors with_original_names(const Tensors& tensors) {
  std::map<std::string, Shape> shapes;
  for (const auto& tensor : tensors) {
    const auto [place, is_new] = shapes.try_emplace(original_flux_name(tensor.name), tensor.shape);
    if (!is_new) place->second = place->second.with(0, place->second[0] + tensor.shape[0]);
  }
  Tensors result;
  for (const auto& [name, shape] : shapes) result.push_back({name, DType::f16, shape, {}});
  return result;
}

/// The tensors' weights, drawn anew for the names and shapes that they have by now.
void draw(Tensors& tensors, std::uint64_t seed) {
  std::map<DType, weights::StateDict> drawn;
  for (auto& tensor : tensors) {
    const auto made_up = std::make_shared<const weights::RandomTensors>(seed, tensor.dtype);
    const auto [place, is_new] = drawn.try_emplace(
        tensor.dtype, std::vector<std::shared_ptr<const weights::TensorFile>>{made_up}, "(random weights)");
    (void)place->second.weight(tensor.name, tensor.shape);
    tensor.sources = {{place->second, tensor.name}};
  }
}

void write_weights(const ComponentSource& part, const Arguments& arguments, std::uint64_t seed) {
  const auto& state = *part.given_weights;
  const bool is_t5 = part.class_name.find("T5") != part.class_name.npos;
  const bool in_blocks = is_block(arguments.type) && part.name != "vae" && part.name != "image_encoder" &&
                         (is_t5 || !is_text_encoder(part.name));
  const DType type = is_block(arguments.type) ? DType::f16 : arguments.type;
  Tensors tensors;
  for (const auto& name : state.names()) tensors.push_back({name, type, state.shape(name), {{state, name}}});
  fs::path file = arguments.out / part.name;
  if (in_blocks) {
    file += ".gguf";
    const bool is_flux = part.class_name == "FluxTransformer2DModel";
    if (is_flux) tensors = with_original_names(tensors);
    weights::choose_gguf_types(tensors, arguments.type);
    draw(tensors, seed);
    std::printf("%s: %zu tensors, %.2f GB\n", file.string().c_str(), tensors.size(),
                static_cast<double>(weights::data_bytes(tensors)) / 1e9);
    const auto metadata = weights::gguf_metadata(tensors, is_flux ? "flux" : "");
    return weights::stream_gguf(file, std::move(tensors), metadata, [](std::uint64_t) {});
  }
  file /= part.library == "transformers" ? "model.safetensors" : "diffusion_pytorch_model.safetensors";
  std::printf("%s: %zu tensors, %.2f GB\n", file.string().c_str(), tensors.size(),
              static_cast<double>(weights::data_bytes(tensors)) / 1e9);
  weights::stream_safetensors(file, std::move(tensors), {}, [](std::uint64_t) {});
}

/// Copies a tokenizer to where the model's is not.
void provide_tokenizer(const ModelSource& source, const std::string& part, const Arguments& arguments) {
  if (fs::exists(arguments.out / part)) return;
  const bool is_t5 = source.part(part).class_name.find("T5") != std::string::npos;
  const auto& from = is_t5 ? arguments.t5_tokenizer : arguments.tokenizer;
  if (from.empty())
    throw ArgumentError("make_model",
                        std::string("this model needs ") + (is_t5 ? "--t5-tokenizer" : "--tokenizer"));
  fs::copy(from, arguments.out / part);
}

/// A ControlNet beside a model, whose folder is its own.
void make_control_net(const Arguments& arguments) {
  if (is_block(arguments.type)) throw ArgumentError("make_model", "a ControlNet is not written in blocks");
  fs::copy(arguments.configs, arguments.out, fs::copy_options::recursive);
  ComponentSource part{
      .name = "", .library = "diffusers", .class_name = "ControlNetModel", .folder = arguments.out};
  part.given_weights =
      weights::StateDict({std::make_shared<const weights::RandomTensors>(0, arguments.type)}, "controlnet");
  (void)open_control_net(part, asking()).load(asking());
  write_weights(part, arguments, 0);
}

/// A language model in transformers' layout; the tokenizer's files lie beside its configuration.
void make_language_model(const Arguments& arguments) {
  if (is_block(arguments.type))
    throw ArgumentError("make_model", "a language model is written as a folder, in numbers");
  fs::copy(arguments.configs, arguments.out, fs::copy_options::recursive);
  if (!arguments.tokenizer.empty())
    fs::copy(arguments.tokenizer, arguments.out,
             fs::copy_options::recursive | fs::copy_options::skip_existing);
  const auto config = models::LanguageConfig::from(Config::load(arguments.out / "config.json"));
  const weights::StateDict state({std::make_shared<const weights::RandomTensors>(0, arguments.type)},
                                 "language model");
  const models::CausalLm<float> network(config, {weights::Scope(state), asking().compute});
  Tensors tensors;
  for (const auto& name : state.names())
    tensors.push_back({name.starts_with("lm_head.") ? name : "model." + name,
                       arguments.type,
                       state.shape(name),
                       {{state, name}}});
  const auto file = arguments.out / "model.safetensors";
  std::printf("%s: %zu tensors, %.2f GB\n", file.string().c_str(), tensors.size(),
              static_cast<double>(weights::data_bytes(tensors)) / 1e9);
  weights::stream_safetensors(file, std::move(tensors), {}, [](std::uint64_t) {});
}

bool is_language_model(const fs::path& config) {
  return models::LanguageConfig::knows(Config::load(config).get("model_type", ""));
}

void make(const Arguments& arguments) {
  if (fs::exists(arguments.out)) throw FileError("make_model", arguments.out.string() + " is there already");
  if (const auto config = arguments.configs / "config.json"; fs::exists(config))
    return is_language_model(config) ? make_language_model(arguments) : make_control_net(arguments);
  (void)ModelSource::open_folder(arguments.configs);
  fs::copy(arguments.configs, arguments.out, fs::copy_options::recursive);
  const auto source = ModelSource::open_folder(arguments.out);
  const DType asked = is_block(arguments.type) ? DType::f16 : arguments.type;
  std::uint64_t seed = 0;
  for (const auto* const name : {"text_encoder", "text_encoder_2", "text_encoder_3", "image_encoder",
                                 "transformer", "transformer_2", "unet", "vae"}) {
    auto part = source.find(name);
    if (!part) continue;
    if (is_text_encoder(name)) provide_tokenizer(source, tokenizer_of(name), arguments);
    part->given_weights =
        weights::StateDict({std::make_shared<const weights::RandomTensors>(seed, asked)}, part->name);
    ask(source, *part);
    write_weights(*part, arguments, seed++);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    make(parsed(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(
        stderr,
        "%s\nusage: make_model CONFIGS OUT [--tokenizer FOLDER] [--t5-tokenizer FOLDER] [--type TYPE]\n",
        error.what());
    return 1;
  }
  return 0;
}
