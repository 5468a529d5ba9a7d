#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "daguerre/models/language/language_config.hpp"
#include "daguerre/ops/context.hpp"
#include "daguerre/pipeline/load_component.hpp"
#include "daguerre/weights/state_dict.hpp"

namespace daguerre {

/// A text that a language model reads, whatever type it multiplies.
class LanguageRun {
 public:
  virtual ~LanguageRun() = default;
  /// Reads further tokens; the logits of what follows the last one, `[vocab_size]`, or nothing unless they
  /// are wanted.
  virtual Tensor<float> read(const ops::Context& context, std::span<const std::int32_t> ids,
                             bool wants_logits) = 0;
};

class LanguageNetwork {
 public:
  virtual ~LanguageNetwork() = default;
  /// For `max_length` tokens at most.
  virtual std::unique_ptr<LanguageRun> start(Index max_length) const = 0;
};

/// The network with weights of the names that CausalLm reads, in the precision and placement of the context.
std::shared_ptr<const LanguageNetwork> load_language_network(const models::LanguageConfig& config,
                                                             const weights::StateDict& state,
                                                             const LoadContext& context);

/// The same tensors, whose pages are not given back behind what reads them: for weights that are read again
/// and again.
weights::StateDict with_kept_pages(const weights::StateDict& state);

}  // namespace daguerre
