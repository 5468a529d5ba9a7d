#pragma once

#include <vector>

#include "daguerre/pipeline/components.hpp"
#include "daguerre/pipeline/noise.hpp"
#include "daguerre/samplers/sampler.hpp"

/// What the pipelines do alike around the denoising loop.
namespace daguerre {

/// x * scale + shift
Tensor<float> affine(const Tensor<float>& x, float scale, float shift);

/// Throws ArgumentError unless `side`, called `name`, is a multiple of `multiple` that pictures may have.
void check_side(const char* name, Index side, Index multiple);
/// `given`, which must be of that shape and finite, or, where it is empty, noise drawn from `noise`. Throws
/// ArgumentError.
Tensor<float> initial_noise(const Tensor<float>& given, const Shape& shape, NoiseStreams& noise,
                            FilmOrder order = FilmOrder::channels_first);

/// What `f(image, n)` makes of each image `[1, ...]` of `batch[N, ...]`, joined again. Engines may split
/// their sums differently for another batch size; called for one image at a time they cannot.
template <class T, class F>
Tensor<float> image_by_image(const Tensor<T>& batch, const F& f) {
  std::vector<Tensor<float>> results;
  for (Index n = 0; n < batch.dim(0); ++n) results.push_back(f(batch.slice(n, n + 1), n));
  return results.size() == 1 ? results.front() : concat_leading<float>(results);
}

/// One image's tensor for a whole batch; `x[1 or N, ...]` to `[N, ...]`.
Tensor<float> repeated(const Tensor<float>& x, Index batch);

}  // namespace daguerre
