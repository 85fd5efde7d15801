/** Types of tracker.js, for editors. Properties are those of the Segment e-commerce specification, version 2. */

export interface Product {
  product_id: string;
  sku?: string;
  name?: string;
  brand?: string;
  category?: string;
  variant?: string;
  price?: number;
  currency?: string;
  quantity?: number;
  position?: number;
  url?: string;
  image_url?: string;
}

/** What `<script type="application/json" id="etalage-page">` may hold. Each part that is there is told as its event. */
export interface Page {
  /** Kind of page: "Home", "Product", "Category", … */
  name?: string;
  /** Product Viewed */
  product?: Product;
  /** Product List Viewed */
  list?: { list_id?: string; category?: string; products?: Product[] };
  /** Products Searched */
  search?: { query: string; products?: Product[] };
  /** Cart Viewed */
  cart?: { cart_id?: string; products: Product[] };
  /** Checkout Started */
  checkout?: { order_id?: string; products?: Product[]; value?: number; currency?: string };
  /** Order Completed. Stays unconfirmed until the shop's server tells the same order_id with its secret key. */
  order?: { order_id: string; total?: number; currency?: string; products: Product[] };
  /** Who is logged in, with the HMAC-SHA256 of the id made by the shop's server. Never on a page that is cached for all. */
  user?: { id: string; signature: string };
}

export function track(event: string, properties?: Record<string, unknown>, isUrgent?: boolean): void;
export function page(about?: Page): void;
export function identify(id: string, signature: string, traits?: Record<string, unknown>): void;
/** Whether the visitor permits that anything is sent. */
export function isPermitted(): boolean;
