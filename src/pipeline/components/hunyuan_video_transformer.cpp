#include "daguerre/models/denoisers/hunyuan_video_transformer.hpp"

#include <array>
#include <span>

#include "daguerre/ops/rearrange.hpp"
#include "pipeline/components/components.hpp"

namespace daguerre {
namespace {

constexpr const char* hunyuan_guidance = "guidance";

/// Latents' sides that HunyuanVideo was trained at: films of 720 x 1280.
constexpr Index hunyuan_sample_height = 90, hunyuan_sample_width = 160;

template <class T>
class HunyuanVideoDenoiser final : public Denoiser {
 public:
  HunyuanVideoDenoiser(DenoiserInfo info, models::HunyuanVideoTransformer<T> network)
      : info_(std::move(info)), network_(std::move(network)) {}
  const DenoiserInfo& info() const noexcept override { return info_; }

  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    std::vector<float> guidance;
    if (const auto found = conditioning.extras.find(hunyuan_guidance); found != conditioning.extras.end())
      for (const float scale : found->second.span()) guidance.push_back(scale * 1000.0f);
    const auto sample =
        conditioning.concat.empty() ? x : ops::concat<float>(context, std::array{x, conditioning.concat}, -1);
    return network_(context, {.sample = sample,
                              .timesteps = std::span(&timestep, 1),
                              .encoder_hidden_states = conditioning.context,
                              .encoder_attention_mask = conditioning.mask,
                              .pooled = conditioning.pooled,
                              .guidance = guidance});
  }

 private:
  DenoiserInfo info_;
  models::HunyuanVideoTransformer<T> network_;
};

/// For families: how a film begins with a picture.
std::string hunyuan_kind(models::HunyuanVideoTransformerConfig::ImageCondition condition) {
  using ImageCondition = models::HunyuanVideoTransformerConfig::ImageCondition;
  if (condition == ImageCondition::latent_concat) return "latent_concat";
  if (condition == ImageCondition::token_replace) return "token_replace";
  return {};
}

}  // namespace

Opened<Denoiser> open_hunyuan_video_transformer(const ComponentSource& source, const LoadContext&) {
  const auto config = models::HunyuanVideoTransformerConfig::from(source.config());
  DenoiserInfo info{.in_channels = config.in_channels,
                    .out_channels = config.out_channels,
                    .sample_height = hunyuan_sample_height,
                    .sample_width = hunyuan_sample_width,
                    .side_multiple = config.patch_size,
                    .context_width = config.text_embed_dim,
                    .context_key = "text_embed_dim",
                    .reads_pooled = true,
                    .pooled_width = config.pooled_projection_dim,
                    .embeds_guidance = config.guidance_embeds,
                    .kind = hunyuan_kind(config.image_condition),
                    .config = source.config_path(),
                    .films = true,
                    .frame_multiple = config.patch_size_t};
  if (config.guidance_embeds) info.extras.emplace_back(hunyuan_guidance);
  return {info, [=](const LoadContext& context) {
            return with_precision(
                context, Role::denoiser,
                [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Denoiser> {
                  return std::make_shared<const HunyuanVideoDenoiser<T>>(
                      info, load_component<models::HunyuanVideoTransformer<T>>(source, config, own));
                });
          }};
}

}  // namespace daguerre
