#include <algorithm>
#include <vector>

#include "daguerre/ops/low_rank-inl.hpp"

namespace daguerre::ops {

double LowRankStack::cost() const {
  const auto rows = static_cast<double>(up.dim(0)), row_size = static_cast<double>(down.dim(1));
  return static_cast<double>(rank()) * (rows + row_size) / std::max(1.0, rows * row_size);
}

LowRankStack stacked(Index rows, Index row_size, std::span<const LowRankTerm> terms) {
  struct Place {
    const Tensor<float>* down;
    Index first_rank;
  };
  std::vector<Place> places;  // of each term
  std::vector<Tensor<float>> downs;
  Index rank = 0;
  for (const auto& term : terms) {
    const auto &up = term.up, &down = term.down;
    if (up.rank() != 2 || down.rank() != 2 || up.dim(1) != down.dim(0) || down.dim(1) != row_size ||
        term.first_row < 0 || up.dim(0) > rows - term.first_row)
      throw ArgumentError("low_rank", to_string(up.shape()) + " x " + to_string(down.shape()) + " from row " +
                                          std::to_string(term.first_row) + " on does not fit a weight " +
                                          to_string(Shape{rows, row_size}));
    const auto same = std::find_if(places.begin(), places.end(), [&](const Place& place) {
      return place.down->data() == down.data() && place.down->shape() == down.shape();
    });
    if (same != places.end()) {
      places.push_back(*same);
    } else {
      places.push_back({&down, rank});
      downs.push_back(down);
      rank += down.dim(0);
    }
  }
  LowRankStack stack{Tensor<float>::zeros({rows, rank}),
                     downs.empty() ? Tensor<float>({0, row_size}) : concat_leading<float>(downs)};
  float* const out = stack.up.data();
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const auto& term = terms[i];
    const Index width = term.up.dim(1);
    const float* from = term.up.data();
    for (Index row = 0; row < term.up.dim(0); ++row) {
      float* const to = out + (term.first_row + row) * rank + places[i].first_rank;
      for (Index r = 0; r < width; ++r) to[r] += term.strength * *from++;
    }
  }
  return stack;
}

Tensor<float> change_of(const Tensor<float>& base, const Tensor<float>& changed) {
  if (base.shape() != changed.shape())
    throw ArgumentError("low_rank", "a bias " + to_string(changed.shape()) + " in the place of one " +
                                        to_string(base.shape()));
  Tensor<float> result(base.shape());
  std::transform(changed.span().begin(), changed.span().end(), base.span().begin(), result.data(),
                 [](float after, float before) { return after - before; });
  return result;
}

template std::shared_ptr<const PackedLinear<float>> with_low_rank(const Context&,
                                                                  std::shared_ptr<const PackedLinear<float>>,
                                                                  const LowRankStack&, const Tensor<float>&);
template std::shared_ptr<const PackedLinear<bfloat16>> with_low_rank(
    const Context&, std::shared_ptr<const PackedLinear<bfloat16>>, const LowRankStack&, const Tensor<float>&);
template std::shared_ptr<const PackedConv2d<float>> with_low_rank(const Context&,
                                                                  std::shared_ptr<const PackedConv2d<float>>,
                                                                  const Shape&, const ConvGeometry&,
                                                                  const LowRankStack&, const Tensor<float>&);
template std::shared_ptr<const PackedConv2d<bfloat16>> with_low_rank(
    const Context&, std::shared_ptr<const PackedConv2d<bfloat16>>, const Shape&, const ConvGeometry&,
    const LowRankStack&, const Tensor<float>&);

}  // namespace daguerre::ops
