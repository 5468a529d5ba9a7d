#include "daguerre/weights/inspect.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>
#include <utility>

#include "config/json.hpp"
#include "core/paths.hpp"
#include "core/text.hpp"
#include "daguerre/config/config.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/weights/gguf.hpp"
#include "weights/denoiser_kinds.hpp"
#include "weights/weight_files.hpp"

namespace daguerre::weights {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view network_config = "config.json";

// The class of a network, from what only its tensors are called.
std::string guess_class(const std::vector<TensorInfo>& tensors) {
  const auto any = [&](auto&& matches) {
    return std::any_of(tensors.begin(), tensors.end(),
                       [&](const TensorInfo& info) { return matches(std::string_view(info.name)); });
  };
  const auto contains = [&](std::string_view part) {
    return any([&](std::string_view name) { return name.find(part) != std::string_view::npos; });
  };
  const auto has = [&](std::string_view whole) {
    return any([&](std::string_view name) { return name == whole; });
  };
  if (contains(".lora_down.") || contains(".lora.down.") || contains("_lora.down.") || contains(".lora_A."))
    return "LoRA";
  if (any([](std::string_view name) { return name.starts_with("model.diffusion_model.input_blocks."); }))
    return "CompVis checkpoint";
  const auto has_all = [&](std::string_view prefix, const std::vector<std::string_view>& names) {
    return std::all_of(names.begin(), names.end(),
                       [&](std::string_view name) { return has(std::string(prefix).append(name)); });
  };
  for (const auto* kind : {&sd3_kind(), &flux_kind(), &pixart_kind()}) {
    if (has_all("", kind->diffusers)) return std::string(kind->class_name);
    for (const std::string_view prefix : {"", "model.diffusion_model."})
      if (has_all(prefix, kind->original)) return std::string(kind->class_name) + " in the original layout";
  }
  // Cross-attention tells the conditional UNet from UNet2DModel.
  if (has("conv_in.weight") && has("time_embedding.linear_1.weight") && contains(".attn2.to_k."))
    return "UNet2DConditionModel";
  if (has("conv_in.weight") && has("time_embedding.linear_1.weight") && contains("down_blocks.0.resnets.0."))
    return "UNet2DModel";
  if (has("pos_embed.proj.weight") && contains(".norm1.emb.class_embedder.")) return "DiTTransformer2DModel";
  if (has("x_embedder.proj.weight") && has("y_embedder.embedding_table.weight") &&
      contains("blocks.0.adaLN_modulation.1."))
    return "DiT in the original layout";
  if (has("encoder.conv_in.weight") && has("decoder.conv_in.weight") && contains("encoder.down_blocks.0."))
    return "AutoencoderKL";
  if ((has("text_model.embeddings.token_embedding.weight") || has("embeddings.token_embedding.weight")) &&
      !contains("vision_model."))
    return "CLIPTextModel";
  if (has("encoder.block.0.layer.0.SelfAttention.q.weight")) return "T5EncoderModel";
  if (has("enc.blk.0.attn_q.weight")) return "T5EncoderModel under llama.cpp's names";
  return "unknown";
}

void add_weights(ComponentDescription& component, const SafetensorsOptions& options,
                 const WeightNames& names = {}) {
  for (const auto& file : open_weight_files(component.path, options, names)) {
    component.files.push_back(file->name());
    for (const auto& info : file->tensors()) {
      component.tensors.push_back(info);
      ++component.dtype_counts[info.dtype];
      component.parameters += info.shape.size();
      component.bytes += info.end - info.begin;
    }
  }
  if (component.class_name.empty()) {
    component.class_name = guess_class(component.tensors);
    component.class_guessed = true;
  }
}

// The class in a folder's config.json; empty when there is none.
std::string configured_class(const fs::path& folder) {
  const fs::path config = folder / network_config;
  return path_exists(config) ? Config::load(config).class_name() : std::string{};
}

// The file that says what a part is, by its class: a network's is config.json.
std::string_view config_name(std::string_view class_name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> others{
      {{"Scheduler", "scheduler_config.json"},
       {"Tokenizer", "tokenizer_config.json"},
       {"TokenizerFast", "tokenizer_config.json"},
       {"Extractor", "preprocessor_config.json"},
       {"Processor", "preprocessor_config.json"}}};
  for (const auto& [ending, file] : others)
    if (class_name.ends_with(ending)) return file;
  return network_config;
}

// Whether a part that has no folder of its own has its files beside model_index.json: there is a
// configuration of its kind, and a network's is of its class or of none.
bool lies_in_root(const fs::path& model, const std::string& indexed_class) {
  const auto name = config_name(indexed_class);
  if (!path_exists(model / name)) return false;
  if (name != network_config) return true;
  const auto configured = configured_class(model);
  return configured.empty() || configured == indexed_class;
}

// One entry of model_index.json, [library, class]. Schedulers, tokenizers and the like have no config.json
// and no weights.
ComponentDescription describe_component(const fs::path& model, const std::string& name,
                                        const std::string& library, const std::string& indexed_class,
                                        const SafetensorsOptions& options) {
  ComponentDescription component;
  component.name = name;
  component.path = model / name;
  component.class_name = indexed_class;
  try {
    WeightNames names;
    names.library =
        library == "transformers" ? WeightNames::Library::transformers : WeightNames::Library::diffusers;
    if (!is_folder(component.path)) {
      if (!lies_in_root(model, indexed_class))
        throw FileError("inspect", component.path.string() + ": no such folder");
      component.path = model;
      names.only = true;
    }
    if (config_name(indexed_class) != network_config || !path_exists(component.path / network_config))
      return component;
    if (const auto configured = configured_class(component.path); !configured.empty())
      component.class_name = configured;
    add_weights(component, options, names);
  } catch (const Error& error) {
    component.problem = error.what();
  }
  return component;
}

ModelDescription describe_model(const fs::path& folder, const SafetensorsOptions& options) {
  const fs::path index_path = folder / "model_index.json";
  const std::string source = index_path.string();
  const auto index = parse_json(read_text_file(index_path, max_config_bytes), source);
  if (!index.is_object()) throw FormatError("inspect", source + ": expected a JSON object");
  ModelDescription model{ModelDescription::Kind::model_folder, folder, {}, {}};
  for (const auto& [key, value] : index.items()) {
    if (key == "_class_name" && value.is_string()) model.class_name = value.get<std::string>();
    // A component is [library, class]; [null, null] means that the model goes without. The rest are options.
    if (!value.is_array() || value.size() != 2 || !value[0].is_string() || !value[1].is_string()) continue;
    if (!is_plain_name(key))
      throw FormatError("inspect", source + ": component " + in_quotes(key) +
                                       " must be the name of a folder beside the index");
    model.components.push_back(
        describe_component(folder, key, value[0].get<std::string>(), value[1].get<std::string>(), options));
  }
  return model;
}

}  // namespace

ModelDescription inspect(const fs::path& path, const SafetensorsOptions& options) {
  using Kind = ModelDescription::Kind;
  const bool folder = is_folder(path);
  if (folder && path_exists(path / "model_index.json")) return describe_model(path, options);
  ComponentDescription component;
  component.path = path;
  if (folder) component.class_name = configured_class(path);
  add_weights(component, options);
  const Kind kind = folder                        ? Kind::component_folder
                    : path.extension() == ".json" ? Kind::sharded_index
                    : is_gguf(path)               ? Kind::gguf_file
                                                  : Kind::safetensors_file;
  return {kind, path, {}, {std::move(component)}};
}

}  // namespace daguerre::weights
