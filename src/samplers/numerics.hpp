#pragma once

#include <vector>

/// Pieces of NumPy's, PyTorch's and SciPy's arithmetic, rounded as they round.
namespace daguerre::samplers::numerics {

/// torch.linspace in float32.
std::vector<float> torch_linspace(double start, double end, int count);
/// numpy.linspace.
std::vector<double> numpy_linspace(double start, double end, int count);
/// numpy.arange with floating-point arguments.
std::vector<double> numpy_arange(double start, double stop, double step);
/// numpy.log of a float32 array element on machines with AVX2 or AVX-512, for positive `x`.
float numpy_log(float x);
/// The quantile function of Beta(shape, shape).
double symmetric_beta_quantile(double probability, double shape);

}  // namespace daguerre::samplers::numerics
