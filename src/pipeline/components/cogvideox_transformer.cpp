#include "daguerre/models/denoisers/cogvideox_transformer.hpp"

#include <algorithm>
#include <span>

#include "daguerre/ops/elementwise.hpp"
#include "pipeline/components/components.hpp"

namespace daguerre {
namespace {

/// What image to video's models of CogVideoX 1.5 are told, always.
constexpr float cogvideox_ofs = 2.0f;

/// The latents that CogVideoX 1.5 was trained at; its configuration says how many there may be.
constexpr Index cogvideox15_height = 96, cogvideox15_width = 170;

template <class T>
class CogVideoXDenoiser final : public Denoiser {
 public:
  CogVideoXDenoiser(DenoiserInfo info, models::CogVideoXTransformer<T> network)
      : info_(std::move(info)), network_(std::move(network)) {}
  const DenoiserInfo& info() const noexcept override { return info_; }
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    models::CogVideoXInputs inputs{
        .sample = conditioning.concat.empty() ? x : ops::concat_channels(context, x, conditioning.concat),
        .timesteps = std::span(&timestep, 1),
        .encoder_hidden_states = conditioning.context};
    if (network_.config().ofs_embed_dim > 0) inputs.ofs = cogvideox_ofs;
    return network_(context, inputs);
  }

 private:
  DenoiserInfo info_;
  models::CogVideoXTransformer<T> network_;
};

}  // namespace

Opened<Denoiser> open_cogvideox_transformer(const ComponentSource& source, const LoadContext&) {
  const auto config = models::CogVideoXTransformerConfig::from(source.config());
  const bool counts_positions = config.patch_size_t > 0;
  const DenoiserInfo info{.in_channels = config.in_channels,
                          .out_channels = config.out_channels,
                          .sample_height = counts_positions
                                               ? std::min(config.sample_height, cogvideox15_height)
                                               : config.sample_height,
                          .sample_width = counts_positions ? std::min(config.sample_width, cogvideox15_width)
                                                           : config.sample_width,
                          .side_multiple = config.patch_size,
                          .context_width = config.text_embed_dim,
                          .context_key = "text_embed_dim",
                          .kind = counts_positions ? "cogvideox-1.5" : "cogvideox",
                          .config = source.config_path(),
                          .films = true,
                          .frame_multiple = config.patch_frames(),
                          .sample_frames = config.sample_frames};
  return {info, [=](const LoadContext& context) {
            return with_precision(context, Role::denoiser,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Denoiser> {
                                    return std::make_shared<const CogVideoXDenoiser<T>>(
                                        info,
                                        load_component<models::CogVideoXTransformer<T>>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
