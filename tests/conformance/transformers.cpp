#include "conformance/transformers.hpp"

namespace daguerre::conformance {

template <class T>
Tensor<float> output_of(const models::SD3Transformer<T>& network, const ops::Context& context,
                        const Recorded& run) {
  const bool original = run.has("in.x");
  const auto timesteps = run.tensor(original ? "in.t" : "in.timestep");
  return network(context, run.tensor(original ? "in.x" : "in.hidden_states"), timesteps.span(),
                 run.tensor(original ? "in.context" : "in.encoder_hidden_states"),
                 run.tensor(original ? "in.y" : "in.pooled_projections"));
}

template <class T>
Tensor<float> output_of(const models::FluxTransformer<T>& network, const ops::Context& context,
                        const Recorded& run) {
  const bool original = run.has("in.img");
  const auto timesteps = run.tensor(original ? "in.timesteps" : "in.timestep");
  const auto guidance = run.has("in.guidance") ? run.tensor("in.guidance") : Tensor<float>();
  return network(context,
                 {.hidden_states = run.tensor(original ? "in.img" : "in.hidden_states"),
                  .encoder_hidden_states = run.tensor(original ? "in.txt" : "in.encoder_hidden_states"),
                  .pooled = run.tensor(original ? "in.y" : "in.pooled_projections"),
                  .timesteps = timesteps.span(),
                  .guidance = guidance.span(),
                  .img_ids = run.tensor("in.img_ids"),
                  .txt_ids = run.tensor("in.txt_ids")});
}

template Tensor<float> output_of(const models::SD3Transformer<float>&, const ops::Context&, const Recorded&);
template Tensor<float> output_of(const models::SD3Transformer<bfloat16>&, const ops::Context&,
                                 const Recorded&);
template Tensor<float> output_of(const models::FluxTransformer<float>&, const ops::Context&, const Recorded&);
template Tensor<float> output_of(const models::FluxTransformer<bfloat16>&, const ops::Context&,
                                 const Recorded&);

}  // namespace daguerre::conformance
