#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "daguerre/core/shape.hpp"
#include "daguerre/media/image.hpp"
#include "daguerre/nn/temporal_windows.hpp"

namespace daguerre {

/// A picture or clip that a film is to show from one of its frames on.
struct FrameCondition {
  std::vector<Image> pictures{};  ///< one, or a clip's frames; of any size
  Index at = 0;                   ///< the frame that the first of them is; -1: the last one of the film
  double strength = 1.0;          ///< how closely it is kept to, 0 to 1; 1: as it is
};

/// How a film longer than a model's window is made: attention along the frames sees window after window, what
/// overlaps being averaged, and all windows begin with much the same noise (FreeNoise; Qiu et al. 2023).
struct FilmWindows {
  /// What the frames behind the first window begin with.
  enum class Noise {
    shuffled,  ///< the noise of earlier frames, a stride's worth at a time, in another order
    repeated,  ///< the first window's again and again
    random,    ///< their own
  };
  Index frames = 0;  ///< of a window; 0: the film at once
  Index stride = 0;  ///< from one window's first frame to the next one's; 0: a quarter of the window
  nn::TemporalWindows::Weights weights = nn::TemporalWindows::Weights::pyramid;
  Noise noise = Noise::shuffled;

  /// Nothing where the film is made at once.
  std::optional<nn::TemporalWindows> of_attention() const {
    if (frames == 0) return std::nullopt;
    return nn::TemporalWindows{frames, stride > 0 ? stride : std::max<Index>(1, frames / 4), weights};
  }

  bool operator==(const FilmWindows&) const = default;
};

/// What is asked of a film, beside what is asked of a picture. A picture is a film of one frame.
struct FilmTask {
  Index frames = 0;         ///< 0: as many as the family makes by default
  double frame_rate = 0.0;  ///< frames a second; 0: the family's
  std::vector<FrameCondition> conditions{};
  std::vector<Image> video{};  ///< a film to start from, or to follow
  /// So many times the frames of `video` a second: these stay, those between them are made. 0 or 1: it is not
  /// that. Model::denoise takes tasks in which this is settled.
  int interpolate = 0;
  std::vector<Image> mask{};         ///< of `video`, white where to make it anew; one, or one for each frame
  std::vector<Image> references{};   ///< what to show, without a place in the film (VACE)
  std::vector<float> scales{};       ///< how strongly each layer follows `video` (VACE); one: all; empty: 1
  float motion_bucket = 127.0f;      ///< how much moves, 1 to 255 (Stable Video Diffusion)
  float noise_augmentation = 0.02f;  ///< noise on the picture that the film begins with (likewise)
  float condition_noise = 0.15f;     ///< noise on conditions at frames, by the square of the time (LTX)
  float decode_timestep = 0.0f;      ///< that the decoder is told, where it reads one (LTX)
  /// The part of the latents that becomes noise before; not given: the timestep's.
  std::optional<float> decode_noise{};
  Index decode_chunk = 0;      ///< frames that are decoded at once, where it matters; 0: the family's
  bool keeps_padding = false;  ///< all of the text's rows are read, also those behind it (Latte)
  bool moves = true;           ///< attention in time is on (Latte)
  FilmWindows windows{};
};

}  // namespace daguerre
