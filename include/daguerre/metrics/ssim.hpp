#pragma once

#include <vector>

#include "daguerre/core/tensor.hpp"

namespace daguerre::metrics {

/// Over which pixels means, variances and covariances are taken.
enum class SsimWindow {
  uniform,   ///< `size` x `size` pixels, all alike
  gaussian,  ///< weights of a Gaussian, cut off at `truncate` sigma
};

/// As scikit-image's `structural_similarity` takes them; its default as they stand.
struct SsimOptions {
  SsimWindow window = SsimWindow::uniform;
  Index size = 7;         ///< of a uniform window, odd
  double sigma = 1.5;     ///< of a Gaussian one: floor(truncate sigma + 0.5) pixels to each side, 11 x 11
  double truncate = 3.5;  ///< likewise
  bool is_sample = true;  ///< covariances divided by one less than the window's pixels
  double range = 1.0;     ///< of the values: 1, 2 or 255
  double k1 = 0.01, k2 = 0.03;

  /// What Wang et al. (2004) give: the Gaussian window, covariances divided by the number of pixels.
  static SsimOptions wang(double range = 1.0);
};

/// The structural similarity of N pictures to their partners, pixel by pixel and channel by channel, `[N, H,
/// W, C]` (Wang et al. 2004, equation 13):
///
///   (2 m_a m_b + c1) (2 s_ab + c2) / ((m_a^2 + m_b^2 + c1) (s_a^2 + s_b^2 + c2)),  c = (k range)^2.
///
/// Borders are mirrored, the edge's own pixel too. T is float or double. Throws ArgumentError where the
/// shapes differ or are not [N, H, W, C], pictures are smaller than the window, and for options that make no
/// window; NumericError for NaN or infinity.
template <class T>
Tensor<double> ssim_map(const Tensor<T>& a, const Tensor<T>& b, const SsimOptions& options = {});

/// Of each picture the mean of that map over what the window covers without mirroring, and over channels.
/// Throws likewise.
template <class T>
std::vector<double> ssim(const Tensor<T>& a, const Tensor<T>& b, const SsimOptions& options = {});

}  // namespace daguerre::metrics
