#include "daguerre/models/denoisers/wan_transformer.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "daguerre/ops/elementwise.hpp"
#include "pipeline/components/components.hpp"
#include "pipeline/latents.hpp"

namespace daguerre {
namespace {

/// Latents' sides that Wan was trained at: 480 x 832 pixels, eight to a latent. Wan 2.2's model with an
/// autoencoder of 48 channels was at 704 x 1280, 16 to a latent.
constexpr Index wan_sample_height = 60, wan_sample_width = 104;
constexpr Index wan_deep_channels = 48, wan_deep_sample_height = 44, wan_deep_sample_width = 80;

template <class T>
class WanDenoiser final : public Denoiser {
 public:
  WanDenoiser(DenoiserInfo info, models::WanTransformer<T> network)
      : info_(std::move(info)), network_(std::move(network)) {}
  const DenoiserInfo& info() const noexcept override { return info_; }

  // One film after the other: its products are large enough, and two would take twice the memory.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    return image_by_image(x, [&](const Tensor<float>& film, Index n) {
      return of_film(context, film, timestep, conditioning, n);
    });
  }

 private:
  Tensor<float> of_film(const ops::Context& context, const Tensor<float>& film, float timestep,
                        const Conditioning& conditioning, Index n) const {
    const auto own = [&](const Tensor<float>& all) { return all.empty() ? all : all.slice(n, n + 1); };
    const auto extra = [&](const char* name) {
      const auto found = conditioning.extras.find(name);
      return found == conditioning.extras.end() ? Tensor<float>() : own(found->second);
    };
    models::WanInputs inputs;
    inputs.hidden_states =
        conditioning.concat.empty() ? film : ops::concat_channels(context, film, own(conditioning.concat));
    inputs.encoder_hidden_states = own(conditioning.context);
    inputs.encoder_hidden_states_image = extra(wan_image_embeds);
    inputs.control_hidden_states = extra(wan_control);
    const auto timesteps = extra(token_timesteps), scale = extra(wan_control_scale);
    inputs.timesteps = timesteps.empty() ? std::span<const float>(&timestep, 1) : timesteps.span();
    std::vector<float> scales(scale.span().begin(), scale.span().end());
    if (scales.size() == 1) scales.assign(network_.config().vace_layers.size(), scales.front());
    inputs.control_scale = scales;
    return network_(context, inputs);
  }

  DenoiserInfo info_;
  models::WanTransformer<T> network_;
};

}  // namespace

Opened<Denoiser> open_wan_transformer(const ComponentSource& source, const LoadContext&) {
  const auto config = models::WanTransformerConfig::from(source.config());
  const bool deep = config.out_channels == wan_deep_channels;
  DenoiserInfo info{.in_channels = config.in_channels,
                    .out_channels = config.out_channels,
                    .sample_height = deep ? wan_deep_sample_height : wan_sample_height,
                    .sample_width = deep ? wan_deep_sample_width : wan_sample_width,
                    .side_multiple = config.patch_size[1],
                    .largest_side = checked_multiply(config.rope_max_seq_len, config.patch_size[1]),
                    .context_width = config.text_dim,
                    .context_key = "text_dim",
                    .extras = {token_timesteps},
                    .kind = deep ? wan_deep_kind : "",
                    .config = source.config_path(),
                    .films = true,
                    .frame_multiple = config.patch_size[0],
                    .largest_frames = checked_multiply(config.rope_max_seq_len, config.patch_size[0])};
  if (config.image_dim > 0) info.extras.emplace_back(wan_image_embeds);
  if (!config.vace_layers.empty())
    for (const char* name : {wan_control, wan_control_scale}) info.extras.emplace_back(name);
  return {info, [=](const LoadContext& context) {
            return with_precision(context, Role::denoiser,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Denoiser> {
                                    return std::make_shared<const WanDenoiser<T>>(
                                        info, load_component<models::WanTransformer<T>>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
