#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daguerre/core/tensor.hpp"
#include "daguerre/models/denoisers/free_u.hpp"
#include "daguerre/nn/decoupled_keys.hpp"
#include "daguerre/nn/temporal_windows.hpp"
#include "daguerre/pipeline/features.hpp"

namespace daguerre {

/// Which of a picture's conditions is made.
enum class Side { positive, negative };

/// What a denoiser may read beside the sample and the time; made once a run. The leading axis counts images,
/// or the branches of guidance of one image. What is empty is not given.
struct Conditioning {
  Tensor<float> context;             ///< the prompt's tokens, `[N, L, D]` (`encoder_hidden_states`)
  Tensor<float> pooled;              ///< the prompt in one vector, `[N, D]`
  Tensor<float> mask;                ///< `[N, L]`: 1 for tokens to look at, 0 for others
  Tensor<float> concat;              ///< `[N, h, w, C]`, channels that join the sample's
  std::vector<std::int32_t> labels;  ///< a class for each
  /// What only some denoisers know, by name: "time_ids", "guidance" … One that the denoiser does not read is
  /// an error.
  std::map<std::string, Tensor<float>, std::less<>> extras;
  Features features{};        ///< what networks beside the denoiser add in this call
  std::vector<Side> sides{};  ///< which condition each is; not given: all are positive
  /// What each of the denoiser's cross-attentions looks at beside the tokens: image prompts.
  std::vector<std::vector<nn::DecoupledKeys>> decoupled{};
  std::optional<models::FreeU> free_u{};
  std::optional<nn::TemporalWindows> windows{};  ///< that attention along a long film's frames is kept to
};

/// Several conditions side by side along the leading axis. Throws ArgumentError when one has what another
/// lacks, or in another shape.
Conditioning joined(std::span<const Conditioning> parts);

/// The same in zeros, labels apart, and what was made of pictures, which is left out.
Conditioning zeros_like(const Conditioning& conditioning);

}  // namespace daguerre
