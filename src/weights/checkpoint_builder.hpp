#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "daguerre/weights/checkpoint.hpp"
#include "weights/checkpoint_parts.hpp"

namespace daguerre::weights {

/// Who speaks in messages about what a file is.
inline constexpr std::string_view checkpoint_name = "checkpoint";

/// Puts a checkpoint of a family together from its parts' weights. The text encoders come before the
/// denoiser, whose configuration depends on their widths.
class CheckpointBuilder {
 public:
  CheckpointBuilder(const FamilyRow& family, const CheckpointOptions& options, std::string source);

  /// Throws WeightError where the slot's projection is missing.
  void add_text(const TextSlot& slot, StateDict weights);
  void add_autoencoder(StateDict weights);
  void add_denoiser(StateDict weights);
  /// In place of what the family predicts; `zero_snr`: of a schedule rescaled to end in noise alone.
  void predict_v(bool zero_snr);

  /// Throws WeightError for parts that do not fit together, naming the tensors.
  Checkpoint finish();

 private:
  /// The configuration in `options.configs`, else what `make` gives.
  template <class Make>
  Config config_of(const std::string& part, const Make& make) const;
  void add_clip(const TextSlot& slot, StateDict weights);
  void add_t5(const TextSlot& slot, StateDict weights);
  void check_widths(const StateDict& denoiser) const;

  const FamilyRow& family_;
  const CheckpointOptions& options_;
  Checkpoint result_;
  std::string scheduler_changes_;
};

/// What a slot's encoder reads with.
CheckpointTokenizer tokenizer_of(const TextSlot& slot);

CheckpointPart lone_autoencoder(StateDict weights, const CheckpointOptions& options,
                                const std::string& source);
/// `family` is one of clip_family's, or "t5".
CheckpointPart lone_text(StateDict weights, const std::string& family, const CheckpointOptions& options,
                         const std::string& source);
/// "clip-l", "clip-h" or "clip-g" by the layout and the width: OpenCLIP's are from 1024 on.
std::string clip_family(const StateDict& weights, bool open_clip_names);

/// The denoiser of any kind; nullptr when there is none.
const CheckpointPart* find_denoiser_part(const Checkpoint& checkpoint);

/// `base`, which holds a denoiser, with the parts that the other checkpoints hold.
Checkpoint join_to(const Checkpoint& base, std::span<const Checkpoint> parts);

}  // namespace daguerre::weights
