#include "daguerre/models/denoisers/unet_film_body-inl.hpp"

namespace daguerre::models {

template class UNetFilmBody<float>;
template class UNetFilmBody<bfloat16>;

}  // namespace daguerre::models
