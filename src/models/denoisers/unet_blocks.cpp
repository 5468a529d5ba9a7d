#include <algorithm>

#include "daguerre/models/denoisers/detail/unet_blocks-inl.hpp"

namespace daguerre::models {

int UNetBlockPlace::groups() const {
  return shape.resnet.groups > 0 ? shape.resnet.groups
                                 : static_cast<int>(std::min<Index>(std::max<Index>(channels() / 4, 1), 32));
}

nn::ResnetOptions UNetBlockPlace::resnet(const UNetBlockShape& block, Index in, Index out) const {
  auto options = shape.resnet;
  options.in_channels = in;
  options.out_channels = out;
  options.groups = groups();
  options.epsilon = block.epsilon.value_or(options.epsilon);
  options.output_scale_factor = block.output_scale_factor;
  options.skip_time_act = block.skip_time_act;
  return options;
}

template class UNetTemporalLayer<float>;
template class UNetTemporalLayer<bfloat16>;
template class UNetTemporalAttention<float>;
template class UNetTemporalAttention<bfloat16>;

namespace detail {

template class ResidualDownBlock<float>;
template class ResidualDownBlock<bfloat16>;
template class ResidualUpBlock<float>;
template class ResidualUpBlock<bfloat16>;
template class ResidualMidBlock<float>;
template class ResidualMidBlock<bfloat16>;

}  // namespace detail
}  // namespace daguerre::models
