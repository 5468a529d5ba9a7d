#include <algorithm>
#include <map>
#include <set>

#include "conformance/case.hpp"
#include "conformance/transformers.hpp"
#include "daguerre/models/denoisers/unet_2d_condition.hpp"
#include "daguerre/models/text_encoders/clip_text.hpp"
#include "daguerre/models/text_encoders/t5_encoder.hpp"
#include "daguerre/weights/adapter_file.hpp"
#include "daguerre/weights/key_map.hpp"

namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;
using weights::AdapterFile;

/// A file of a case, and how much of it a denoiser and text encoders get.
struct AppliedFile {
  fs::path path;
  float denoiser, text;
};

/// What a variant of a case's denoiser is recorded as, and what is different in it.
struct Variant {
  std::string output;
  std::optional<float> strength;  ///< nullopt: as the case says
  weights::DoraRule dora;
  bool read_metadata;
};

const std::vector<Variant>& variants() {
  using weights::DoraRule;
  constexpr auto given = std::optional<float>();
  constexpr auto usual = DoraRule::automatic;
  static const std::vector<Variant> all{
      {"sample", given, usual, true},
      {"sample_scale1", 1.0f, usual, true},
      {"base", 0.0f, usual, true},
      {"sample_without_metadata", given, usual, false},
      {"sample_scaled", given, DoraRule::peft, true},
      {"sample_lycoris", 1.0f, DoraRule::lycoris, true},
      {"sample_lycoris_scaled", given, DoraRule::lycoris, true},
      {"sample_comfyui", 1.0f, DoraRule::comfyui, true},
      {"sample_comfyui_scaled", given, DoraRule::comfyui, true},
  };
  return all;
}

/// One model of a folder, its inputs, and adapter files on top of it.
class LoraCase {
 public:
  LoraCase(const fs::path& folder, const std::string& name, const Options& options)
      : folder_(folder),
        name_(name),
        options_(options),
        context_(options.context()),
        description_(Config::load(folder / ("case_" + name + ".json"))),
        outputs_(folder / ("io_" + name + ".safetensors")),
        inputs_(outputs_.has("in.timestep") ? folder / ("io_" + name + ".safetensors")
                                            : folder / "io.safetensors") {
    const auto scale = static_cast<float>(description_.get("scale", 1.0));
    const auto text = static_cast<float>(description_.get("text_encoder_scale", static_cast<double>(scale)));
    std::vector<std::string> files{"lora_" + name + ".safetensors"};
    if (description_.has("files")) files = description_.require_strings("files");
    for (const auto& file : files) files_.push_back({folder / file, scale, text});
    if (const auto scales = description_.json("scales")) read_scales(*scales);
  }

  template <class T>
  Result run() {
    for (const auto& variant : variants()) {
      if (!outputs_.has("out." + variant.output)) continue;
      // PEFT's rule at strength 1, beside the others', is recorded as "sample".
      const bool whole = variant.output == "sample" && outputs_.has("out.sample_scaled");
      auto own = variant;
      if (whole) own.strength = 1.0f;
      compare<T>(variant.output, denoiser<T>(own));
    }
    for (const std::string part : {"text_encoder", "text_encoder_2", "text_encoder_3"})
      if (fs::is_directory(folder_ / part)) text_encoder<T>(part);
    check_unmatched();
    return std::move(result_);
  }

 private:
  void read_scales(const std::string& text) {
    // A list of objects, which a configuration has one by one.
    std::size_t begin = 0;
    for (auto& file : files_) {
      begin = text.find('{', begin);
      const auto end = text.find('}', begin);
      if (begin == text.npos || end == text.npos) throw FormatError("conformance", "scales are malformed");
      const auto item = Config::parse(text.substr(begin, end - begin + 1), "scales");
      file.path = folder_ / item.get("file", "");
      file.denoiser = static_cast<float>(item.get("unet_or_transformer", 1.0));
      file.text = static_cast<float>(item.get("text_encoder", 1.0));
      begin = end;
    }
  }

  weights::StateDict with_adapters(const weights::StateDict& plain, std::string_view part,
                                   const Variant& variant) {
    weights::Deltas deltas;
    for (const auto& file : files_) {
      const auto adapter = AdapterFile::load(file.path, {.partial = description_.has("keys_not_loaded"),
                                                         .dora = variant.dora,
                                                         .wider_input = true,
                                                         .read_metadata = variant.read_metadata});
      auto match = adapter.match(part, plain);
      unmatched_.insert(match.unmatched.begin(), match.unmatched.end());
      unmatched_.insert(adapter.foreign().begin(), adapter.foreign().end());
      const float strength =
          variant.strength.value_or(part == AdapterFile::denoiser ? file.denoiser : file.text);
      for (auto& [tensor, applied] : match.deltas)
        for (auto& delta : applied) delta.strength *= strength;
      append(deltas, match.deltas);
    }
    return plain.with_deltas(deltas);
  }

  static weights::StateDict load(const fs::path& path) {
    return weights::with_diffusers_names(weights::StateDict::load(path));
  }

  template <class T>
  Tensor<float> denoiser(const Variant& variant) {
    auto config = Config::load(folder_ / "config.json");
    const auto weights = with_adapters(load(folder_ / "weights.safetensors"), AdapterFile::denoiser, variant);
    const nn::Loader loader{weights::Scope(weights), context_};
    const std::string name = config.class_name();
    const auto& run = inputs_;
    if (name == "SD3Transformer2DModel")
      return output_of(models::SD3Transformer<T>(models::SD3TransformerConfig::from(config), loader),
                       context_, run);
    if (name == "FluxTransformer2DModel") {
      // A control adapter's network has more input channels.
      const Index channels = weights.shape("x_embedder.weight")[1];
      config = config.with("{\"in_channels\": " + std::to_string(channels) + ", \"out_channels\": " +
                           std::to_string(weights.shape("proj_out.weight")[0]) + "}");
      return flux_output(models::FluxTransformer<T>(models::FluxTransformerConfig::from(config), loader));
    }
    if (name != "UNet2DConditionModel") throw ConfigError("conformance", "class " + name);
    models::UNet2DConditionInputs inputs;
    inputs.encoder_hidden_states = run.tensor("in.encoder_hidden_states");
    if (run.has("in.added.text_embeds")) inputs.text_embeds = run.tensor("in.added.text_embeds");
    if (run.has("in.added.time_ids")) inputs.time_ids = run.tensor("in.added.time_ids");
    const auto timesteps = run.tensor("in.timestep");
    return models::UNet2DCondition<T>(models::UNet2DConditionConfig::from(config), loader)(
        context_, run.tensor("in.sample"), timesteps.span(), inputs);
  }

  /// The case may have a picture of its own, with other channels.
  template <class T>
  Tensor<float> flux_output(const models::FluxTransformer<T>& network) {
    const auto timesteps = inputs_.tensor("in.timestep"), guidance = inputs_.tensor("in.guidance");
    return network(
        context_,
        {.hidden_states = (outputs_.has("in.hidden_states") ? outputs_ : inputs_).tensor("in.hidden_states"),
         .encoder_hidden_states = inputs_.tensor("in.encoder_hidden_states"),
         .pooled = inputs_.tensor("in.pooled_projections"),
         .timesteps = timesteps.span(),
         .guidance = guidance.span(),
         .img_ids = inputs_.tensor("in.img_ids"),
         .txt_ids = inputs_.tensor("in.txt_ids")});
  }

  template <class T>
  void text_encoder(const std::string& part) {
    const std::string own = "in." + part + "_ids",
                      ids = part == "text_encoder" && !inputs_.has(own) ? "in.input_ids" : own;
    if (!inputs_.has(ids)) return;
    const auto config = Config::load(folder_ / part / "config.json");
    const auto weights = with_adapters(load(folder_ / part), part, variants().front());
    const nn::Loader loader{weights::Scope(weights), context_};
    const auto tokens = inputs_.file().read<std::int32_t>(ids);
    if (config.class_name() == "T5EncoderModel")
      return compare_text<T>(
          part, models::T5Encoder<T>(models::T5EncoderConfig::from(config), loader)(context_, tokens));
    const auto output = models::ClipText<T>(models::ClipTextConfig::from(config), loader)(context_, tokens);
    compare_text<T>(part, output.last_hidden_state);
    compare_text<T>(part + "_text_embeds", output.text_embeds);
    if (outputs_.has("out.text_last_hidden_state"))
      compare<T>("text_last_hidden_state", output.last_hidden_state);
  }

  /// Against the case's own output, or that without adapters where the case leaves an encoder alone.
  template <class T>
  void compare_text(const std::string& name, const Tensor<float>& actual) {
    if (actual.empty()) return;
    if (outputs_.has("out." + name)) return compare<T>(name, actual);
    const auto unchanged = description_.has("unchanged") ? description_.require_strings("unchanged")
                                                         : std::vector<std::string>();
    if (std::find(unchanged.begin(), unchanged.end(), name) != unchanged.end() && inputs_.has("out." + name))
      check<T>(name, actual, inputs_);
  }
  template <class T>
  void compare(const std::string& name, const Tensor<float>& actual) {
    check<T>(name, actual, outputs_);
  }
  template <class T>
  void check(const std::string& name, const Tensor<float>& actual, const Recorded& run) {
    constexpr bool is_float = std::is_same_v<T, float>;
    result_.checks.push_back({name, test::difference(actual, run.tensor("out." + name)),
                              is_float ? bounds::network : bounds::bfloat16_narrow_network});
  }

  void check_unmatched() {
    if (!description_.has("keys_not_loaded")) return;
    const auto expected = description_.require_strings("keys_not_loaded");
    const double wrong = std::set<std::string>(expected.begin(), expected.end()) == unmatched_ ? 0.0 : 1.0;
    result_.checks.push_back({"keys without a place", {wrong, wrong}, 0.0});
  }

  fs::path folder_;
  std::string name_;
  const Options& options_;
  ops::Context context_;
  Config description_;
  Recorded outputs_, inputs_;
  std::vector<AppliedFile> files_;
  std::set<std::string> unmatched_;
  Result result_;
};

}  // namespace

std::vector<std::pair<std::string, std::function<Result()>>> lora_runs(const fs::path& folder,
                                                                       const Options& options) {
  std::vector<std::pair<std::string, std::function<Result()>>> result;
  for (const auto& file : fs::directory_iterator(folder)) {
    const std::string stem = file.path().stem().string();
    if (!stem.starts_with("case_") || file.path().extension() != ".json") continue;
    const std::string name = stem.substr(5);
    if (!fs::exists(folder / ("io_" + name + ".safetensors"))) continue;
    if (!fs::exists(folder / "weights.safetensors") || !fs::exists(folder / "text_encoder")) continue;
    result.emplace_back("/" + name, [=, &options] {
      return options.with_type([&]<class T>() { return LoraCase(folder, name, options).run<T>(); });
    });
  }
  std::sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return result;
}

}  // namespace daguerre::conformance
