#include "daguerre/ops/norm-inl.hpp"

namespace daguerre::ops {

std::vector<NormStatistics::Group> Operations::group_statistics(const Context& context,
                                                                std::span<const Tensor<float>> parts,
                                                                int groups) const {
  auto* const kept = context.norm_statistics.get();
  std::span<NormStatistics::Group> places;
  if (kept != nullptr) places = kept->next(static_cast<std::size_t>(groups));
  if (kept != nullptr && kept->uses()) return {places.begin(), places.end()};
  const Index channels = parts.front().dim(-1);
  std::vector<detail::RowRun<float>> runs;
  Index rows = 0;
  for (const auto& part : parts) {
    runs.push_back({part.data(), part.size() / channels});
    rows += runs.back().rows;
  }
  const auto moments = detail::channel_moments<float>(context, runs, channels);
  std::vector<NormStatistics::Group> found;
  for (Index group = 0; group < groups; ++group)
    found.push_back(detail::group_of(moments, rows, group * (channels / groups), channels / groups, nullptr));
  std::copy(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(places.size()), places.begin());
  return found;
}

std::vector<NormStatistics::Group> group_statistics(const Context& context,
                                                    std::span<const Tensor<float>> parts, int groups) {
  const Profile::Scope scope(context, OpKind::group_norm);
  if (parts.empty()) throw ArgumentError("group_statistics", "no parts");
  const Index channels = parts.front().rank() == 0 ? 0 : parts.front().dim(-1);
  if (groups < 1 || channels == 0 || channels % groups != 0)
    throw ArgumentError("group_statistics", std::to_string(channels) + " channels do not split into " +
                                                std::to_string(groups) + " groups");
  for (const auto& part : parts)
    if (part.empty() || part.dim(-1) != channels)
      throw ArgumentError("group_statistics", "a part " + to_string(part.shape()) + " beside " +
                                                  to_string(parts.front().shape()));
  return with_operations(context,
                         [&](const auto& run) { return run.group_statistics(context, parts, groups); });
}

template Tensor<float> group_norm(const Context&, const Tensor<float>&, const Tensor<float>&,
                                  const Tensor<float>&, int, float, Activation, const GroupNormExtras&);
template Tensor<bfloat16> group_norm(const Context&, const Tensor<float>&, const Tensor<float>&,
                                     const Tensor<float>&, int, float, Activation, const GroupNormExtras&);
template Tensor<bfloat16> group_norm(const Context&, const Tensor<bfloat16>&, const Tensor<float>&,
                                     const Tensor<float>&, int, float, Activation, const GroupNormExtras&);
template Tensor<float> layer_norm(const Context&, const Tensor<float>&, const Tensor<float>&,
                                  const Tensor<float>&, float);
template Tensor<bfloat16> layer_norm(const Context&, const Tensor<float>&, const Tensor<float>&,
                                     const Tensor<float>&, float);
template Tensor<float> rms_norm(const Context&, const Tensor<float>&, const Tensor<float>&, float,
                                Activation);
template Tensor<bfloat16> rms_norm(const Context&, const Tensor<float>&, const Tensor<float>&, float,
                                   Activation);

}  // namespace daguerre::ops
