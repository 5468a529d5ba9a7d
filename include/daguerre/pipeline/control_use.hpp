#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "daguerre/media/image.hpp"

namespace daguerre {

class Control;

/// How a picture is brought to the size that is made.
enum class ControlResize {
  stretch,  ///< without regard to its proportions, as the reference does
  crop,     ///< scaled until it covers all, what hangs over cut off on both sides
  fit,      ///< scaled until all of it is there, its borders repeated beside it
};

/// A ControlNet or T2I-Adapter in a request, with the picture to keep to.
struct ControlUse {
  std::shared_ptr<const Control> control{};  ///< what Pipeline::load_control gave
  Image image{};                             ///< edges, depths, a pose: as the network was trained
  float scale = 1.0f;                        ///< how strongly; 0: not at all
  /// The part of the steps in which it acts, 0 to 1.
  double start = 0.0, end = 1.0;
  /// ControlNets of U-Nets: the picture steers the more, and with guidance the prompt's side alone, so that
  /// even an empty prompt gives something of it.
  bool guess_mode = false;
  /// For in-painting ControlNets: what the mask covers is -1 in its picture; without an image, the one that
  /// is painted into.
  bool hides_masked = false;
  std::optional<int> mode{};  ///< of a union: which kind of picture it is
  ControlResize resize = ControlResize::stretch;
  /// Of films, in the place of `image`: pictures, and which frames they are. Without numbers there is one for
  /// each frame. SparseCtrl takes any frames, ControlNets of pictures all, or one picture for all.
  std::vector<Image> pictures{};
  std::vector<Index> frames{};
};

}  // namespace daguerre
