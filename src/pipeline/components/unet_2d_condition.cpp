#include "daguerre/models/denoisers/unet_2d_condition.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>
#include <string_view>

#include <nlohmann/json.hpp>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/embedding.hpp"
#include "daguerre/ops/host_values.hpp"
#include "pipeline/components/components.hpp"

namespace daguerre {
namespace {

constexpr const char* time_ids = "time_ids";
constexpr const char* guidance = "guidance";

/// What distilled models read of guidance scales w: a sinusoid of (w - 1) * 1000, sine first, of frequencies
/// 10000^(-i / (half - 1)) (diffusers' get_guidance_scale_embedding).
Tensor<float> guidance_embedding(const Tensor<float>& scales, Index width) {
  const Index half = width / 2;
  auto result = Tensor<float>::zeros({scales.dim(0), width});
  float* const out = result.data();
  const float rate = std::log(10000.0f) / static_cast<float>(half - 1);
  for (Index n = 0; n < scales.dim(0); ++n)
    for (Index i = 0; i < half; ++i) {
      const float angle = (scales.data()[n] - 1.0f) * 1000.0f * std::exp(-rate * static_cast<float>(i));
      out[n * width + i] = std::sin(angle);
      out[n * width + half + i] = std::cos(angle);
    }
  return result;
}

template <class T>
class ConditionDenoiser final : public Denoiser {
 public:
  ConditionDenoiser(DenoiserInfo info, models::UNet2DCondition<T> network)
      : info_(std::move(info)), network_(std::move(network)) {}
  const DenoiserInfo& info() const noexcept override { return info_; }

  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    models::UNet2DConditionInputs inputs;
    inputs.encoder_hidden_states = conditioning.context;
    inputs.encoder_attention_mask = conditioning.mask;
    inputs.text_embeds = conditioning.pooled;
    if (!conditioning.labels.empty()) inputs.class_labels = ops::host_floats(conditioning.labels);
    if (const auto ids = conditioning.extras.find(time_ids); ids != conditioning.extras.end())
      inputs.time_ids = ids->second;
    if (const auto scales = conditioning.extras.find(guidance); scales != conditioning.extras.end())
      inputs.timestep_cond =
          guidance_embedding(scales->second, network_.config().time_perceptron.condition_channels);
    inputs.features = conditioning.features.unet;
    inputs.decoupled = conditioning.decoupled;
    inputs.free_u = conditioning.free_u;
    inputs.windows = conditioning.windows;
    const auto sample =
        conditioning.concat.empty() ? x : ops::concat_channels(context, x, conditioning.concat);
    return network_(context, sample, std::span(&timestep, 1), inputs);
  }

 private:
  DenoiserInfo info_;
  models::UNet2DCondition<T> network_;
};

/// "0.8.1.dev0" is below 0.9. What is no version is not.
bool is_below_0_9(std::string_view version) {
  int major = -1, minor = -1;
  const char* const end = version.data() + version.size();
  const auto first = std::from_chars(version.data(), end, major);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.') return false;
  if (std::from_chars(first.ptr + 1, end, minor).ec != std::errc()) return false;
  return major == 0 && minor >= 0 && minor < 9;
}

/// The configuration, with what diffusers' pipelines correct in it: before version 0.9 it was written with a
/// sample_size that the models were not trained at.
Config corrected(Config config) {
  const auto version = config.optional_string("_diffusers_version");
  if (!version || !is_below_0_9(*version)) return config;
  const auto size = nlohmann::json::parse(config.dump()).value("sample_size", nlohmann::json());
  if (!size.is_number_integer() || size.get<double>() >= 64) return config;
  return config.with(R"({"sample_size": 64})");
}

DenoiserInfo info_of(const models::UNet2DConditionConfig& config, std::string source) {
  DenoiserInfo info{.in_channels = config.shape.in_channels,
                    .out_channels = config.shape.out_channels,
                    .sample_height = config.sample_height,
                    .sample_width = config.sample_width,
                    .context_width = config.cross_attention_dim(),
                    .config = std::move(source),
                    .takes_free_u = true,
                    .wraps = true,
                    .films = config.most_frames > 0,
                    .largest_frames = config.most_frames,
                    .takes_windows = config.most_frames > 0};
  const auto& levels = config.shape.levels;
  const bool residual = std::all_of(levels.begin(), levels.end(), [](const auto& level) {
    return level.down.kind == models::UNetBlockShape::Kind::residual;
  });
  if (residual && config.shape.mid) {
    info.takes.kind = FeatureSizes::Kind::unet;
    info.takes.residuals = config.shape.skip_channels();
    for (const auto& level : levels) info.takes.blocks.push_back(level.channels);
    info.takes.blocks.push_back(levels.back().channels);
  }
  for (const auto& attention : config.shape.cross_attentions())
    info.cross_attentions.push_back({attention.name, attention.width});
  using Addition = models::AdditionEmbeddingOptions::Kind;
  if (config.addition.kind == Addition::text_time) {
    info.reads_pooled = true;
    info.extras.emplace_back(time_ids);
  }
  if (config.time_perceptron.condition_channels > 0) {
    info.embeds_guidance = true;
    info.extras.emplace_back(guidance);
  }
  return info;
}

}  // namespace

Opened<Denoiser> open_unet_2d_condition(const ComponentSource& source, const LoadContext&) {
  const auto config = models::UNet2DConditionConfig::from(corrected(source.config()));
  const auto info = info_of(config, source.config_path());
  return {info, [=](const LoadContext& context) {
            return with_precision(context, Role::denoiser,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Denoiser> {
                                    return std::make_shared<const ConditionDenoiser<T>>(
                                        info,
                                        load_component<models::UNet2DCondition<T>>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
