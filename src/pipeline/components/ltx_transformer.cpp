#include "daguerre/models/denoisers/ltx_transformer.hpp"

#include <span>
#include <vector>

#include "pipeline/components/components.hpp"
#include "pipeline/components/ltx.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

template <class T>
class LTXDenoiser final : public Denoiser {
 public:
  LTXDenoiser(DenoiserInfo info, models::LTXTransformer<T> network)
      : info_(std::move(info)), network_(std::move(network)) {}
  const DenoiserInfo& info() const noexcept override { return info_; }
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    const Index batch = x.dim(0), length = x.dim(1) * x.dim(2) * x.dim(3);
    const auto positions = conditioning.extras.find(ltx_positions);
    if (positions == conditioning.extras.end())
      throw ArgumentError(pipeline_name, "LTX-Video's transformer is not told where its tokens are: extra " +
                                             std::string(ltx_positions));
    std::vector<float> timesteps{timestep};
    if (const auto told = conditioning.extras.find(token_timesteps); told != conditioning.extras.end()) {
      const auto values = told->second.span();
      timesteps.assign(values.begin(), values.end());
      // One film's, for all the branches of guidance.
      const auto one = timesteps.size();
      if (static_cast<Index>(one) == length && batch > 1) {
        timesteps.reserve(one * static_cast<std::size_t>(batch));
        for (Index n = 1; n < batch; ++n) timesteps.insert(timesteps.end(), values.begin(), values.end());
      }
    }
    const auto tokens = network_(context, {.hidden_states = x.reshape({batch, length, x.dim(4)}),
                                           .positions = positions->second[0].reshape({-1, 3}),
                                           .timesteps = timesteps,
                                           .encoder_hidden_states = conditioning.context,
                                           .encoder_attention_mask = conditioning.mask});
    return tokens.reshape(x.shape().with(4, info_.out_channels));
  }

 private:
  DenoiserInfo info_;
  models::LTXTransformer<T> network_;
};

/// Latents' sides that the model was shown most: films of 704 x 512.
constexpr Index ltx_sample_height = 16, ltx_sample_width = 22;

}  // namespace

Opened<Denoiser> open_ltx_transformer(const ComponentSource& source, const LoadContext&) {
  const auto config = models::LTXTransformerConfig::from(source.config());
  const DenoiserInfo info{.in_channels = config.in_channels,
                          .out_channels = config.out_channels,
                          .sample_height = ltx_sample_height,
                          .sample_width = ltx_sample_width,
                          .context_width = config.caption_channels,
                          .context_key = "caption_channels",
                          .extras = {ltx_positions, token_timesteps},
                          .config = source.config_path(),
                          .films = true};
  return {info, [=](const LoadContext& context) {
            return with_precision(context, Role::denoiser,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Denoiser> {
                                    return std::make_shared<const LTXDenoiser<T>>(
                                        info, load_component<models::LTXTransformer<T>>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
