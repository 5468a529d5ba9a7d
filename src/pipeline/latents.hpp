#pragma once

#include <functional>
#include <vector>

#include "daguerre/models/autoencoder_kl.hpp"
#include "daguerre/pipeline/guidance.hpp"
#include "daguerre/pipeline/noise.hpp"
#include "daguerre/samplers/sampler.hpp"

/// What the pipelines do alike around the denoising loop.
namespace daguerre {

/// x * scale + shift
Tensor<float> affine(const Tensor<float>& x, float scale, float shift);

/// Throws ArgumentError unless `side`, called `name`, is a multiple of `multiple` that pictures may have.
void check_side(const char* name, Index side, Index multiple);
/// Throws ArgumentError for fewer steps than one, for guidance or an eta that is not possible, without a
/// sampler.
void check_run(int steps, const Guidance& guidance, double eta, const samplers::Sampler* sampler);

/// `given`, which must be of that shape and finite, or, where it is empty, noise drawn from `noise`. Throws
/// ArgumentError.
Tensor<float> initial_noise(const Tensor<float>& given, const Shape& shape, NoiseStreams& noise);

/// What `f(image, n)` makes of each image `[1, ...]` of `batch[N, ...]`, joined again. Engines may split
/// their sums differently for another batch size; called for one image at a time they cannot.
template <class T, class F>
Tensor<float> image_by_image(const Tensor<T>& batch, const F& f) {
  std::vector<Tensor<float>> results;
  for (Index n = 0; n < batch.dim(0); ++n) results.push_back(f(batch.slice(n, n + 1), n));
  return results.size() == 1 ? results.front() : concat_leading<float>(results);
}

/// Pictures from scaled latents, one image at a time; `decode` is the autoencoder. Throws NumericError.
Tensor<float> decode_pictures(const ops::Context& context, const Tensor<float>& latents,
                              const models::AutoencoderKlConfig& config,
                              const std::function<Tensor<float>(const Tensor<float>&)>& decode);

}  // namespace daguerre
