#include "daguerre/samplers/sampler.hpp"

namespace daguerre::samplers {

void SamplerRun::begin(Index first_call) {
  if (first_call < 0 || first_call >= calls())
    throw ArgumentError(name_, "a run of " + std::to_string(calls()) + " model calls cannot begin at call " +
                                   std::to_string(first_call));
  next_call_ = first_call;
}

void SamplerRun::check_index(const char* function, Index i) const {
  if (i < 0 || i >= calls())
    throw ArgumentError(name_, std::string(function) + ": call " + std::to_string(i) + " of a run of " +
                                   std::to_string(calls()));
}

void SamplerRun::check_next(const char* function, Index i) const {
  if (i == next_call_ && i < calls()) return;
  throw ArgumentError(
      name_, std::string(function) + (next_call_ < calls() ? ": expected call " + std::to_string(next_call_) +
                                                                 ", found " + std::to_string(i)
                                                           : ": the run has ended"));
}

Tensor<float> SamplerRun::perturb(const Tensor<float>& sample, Index i, const NoiseSource& noise) {
  check_next("perturb", i);
  return perturbed(sample, i, noise);
}

Tensor<float> SamplerRun::perturbed(const Tensor<float>& sample, Index, const NoiseSource&) {
  return sample;
}

Tensor<float> SamplerRun::scale_model_input(const Tensor<float>& sample, Index i) const {
  check_index("scale_model_input", i);
  return scale(sample, i);
}

Tensor<float> SamplerRun::scale(const Tensor<float>& sample, Index) const {
  return sample;
}

Tensor<float> SamplerRun::step(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                               const NoiseSource& noise) {
  check_next("step", i);
  if (sample.rank() == 0) throw ArgumentError(name_, "step: the sample is a scalar");
  const Shape& expected = sample.shape();
  const bool fits =
      model_output.shape() == expected ||
      (learned_variance_ && model_output.shape() == expected.with(-1, checked_multiply(2, expected[-1])));
  if (!fits)
    throw ArgumentError(name_, "step: the model output has shape " + to_string(model_output.shape()) +
                                   ", the sample " + to_string(expected));
  Tensor<float> result = advance(model_output, i, sample, noise);
  ++next_call_;
  return result;
}

Tensor<float> SamplerRun::add_noise(const Tensor<float>& original, const Tensor<float>& noise,
                                    Index i) const {
  check_index("add_noise", i);
  if (!(original.shape() == noise.shape()))
    throw ArgumentError(name_, "add_noise: the sample has shape " + to_string(original.shape()) +
                                   ", the noise " + to_string(noise.shape()));
  return noised(original, noise, i);
}

Tensor<float> SamplerRun::draw(const NoiseSource& noise, const Shape& shape) const {
  if (!noise) throw ArgumentError(name_, "step: this step adds noise and no noise source was given");
  Tensor<float> drawn = noise(shape);
  if (!(drawn.shape() == shape))
    throw ArgumentError(
        name_, "step: the noise source gave " + to_string(drawn.shape()) + " instead of " + to_string(shape));
  return drawn;
}

}  // namespace daguerre::samplers
